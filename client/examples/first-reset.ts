/** A function writes through an IOMMU, one write goes astray, and a reset drops the one that is late. */
import { startMachine } from 'iommud/testing';

await using m = await startMachine({ preset: 'basic', seed: 7 });
const dev = m.function('00:02.0');
const page = await m.memory.alloc(4096);
await dev.dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
console.log(await dev.model.write(0x10000, 'hello'));
console.log(await dev.model.write(0x11000, 'rogue')); // lands nowhere
console.log((await m.faults.next()).text); // 00:02.0 write 0x11000: not present
const late = dev.model.write(0x10000, 'late', { hold: 'translated' });
console.log(await dev.reset({ method: 'flr', deadlineMs: 10, onDeadline: 'abort' }), await late);
