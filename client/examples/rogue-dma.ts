/** A negative test for a CI lane: one page may be reached, and what is aimed elsewhere is a fault record and lands nowhere. */
import { deepEqual, equal } from 'node:assert/strict';
import { startMachine } from 'iommud/testing';

await using m = await startMachine({ preset: 'basic', seed: 7 });
const dev = m.function('00:02.0');
const page = await m.memory.alloc(4096);
await dev.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
equal((await dev.model.write(0x10000, 'inside')).outcome, 'performed');
equal((await dev.model.write(0x10ffe, 'across')).outcome, 'not-present');
const fault = await m.faults.next();
deepEqual([fault.function, fault.cause, fault.iova], ['00:02.0', 'not-present', 0x11000n]);
equal(new TextDecoder().decode(await m.memory.read(page.address, 6)), 'inside');
console.log(`refused, as it must be: ${fault.text}`);
