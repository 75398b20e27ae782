/** Plays the dma-probe of `dma-probe-device.ts` in a machine, and drives one of its queues by way of its ATC: a page that is there, and one that is missing. */
import { startMachine } from 'iommud/testing';
import { dmaProbe } from './dma-probe-device.ts';
import {
  COMMAND,
  DESCRIPTOR,
  DESCRIPTOR_BYTES,
  ERRORS,
  FLAG,
  OPERATION,
  OUTCOMES,
  QUEUE_BLOCK,
  QUEUE_REGISTERS,
  STATE,
} from './dma-probe/registers.ts';

const BDF = '00:04.0';
const [RING, DATA] = [0x10000, 0x20000];
const ENTRIES = 8;

await using m = await startMachine({ preset: 'basic', seed: 7 });
await using emulator = await m.connect(['device']);
await using _device = await dmaProbe.claim(emulator, BDF);

const dev = m.function(BDF);
const bar = dev.bar(0);
const at = (name: keyof typeof QUEUE_REGISTERS): number => QUEUE_BLOCK.first + QUEUE_REGISTERS[name].offset;
const [ring, data] = [await m.memory.alloc(4096), await m.memory.alloc(4096)];
await dev.dma.map({ iova: RING, address: ring.address, bytes: 4096, access: 'rw' });
await dev.dma.map({ iova: DATA, address: data.address, bytes: 4096, access: 'rw' });
await bar.write(at('ringBase'), 8, RING);
await bar.write(at('ringEntries'), 4, ENTRIES);
await bar.write(at('command'), 4, COMMAND.start);

let tail = 0;
/** Has one descriptor done, and says how it ended. */
async function done(operation: number, address: number, length: number, seed = 0): Promise<string> {
  const descriptor = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES));
  descriptor.setUint32(DESCRIPTOR.control, operation | (1 << FLAG.translated), true);
  descriptor.setBigUint64(DESCRIPTOR.address, BigInt(address), true);
  descriptor.setUint32(DESCRIPTOR.length, length, true);
  descriptor.setUint32(DESCRIPTOR.seed, seed, true);
  const place = ring.address + BigInt(tail * DESCRIPTOR_BYTES);
  await m.memory.write(place, new Uint8Array(descriptor.buffer));
  tail = (tail + 1) % ENTRIES;
  await bar.write(at('tail'), 4, tail);
  while ((await bar.read(at('state'), 4)) === STATE.busy) await m.clock.info();
  const { buffer } = await m.memory.read(place, DESCRIPTOR_BYTES).then((bytes) => bytes.slice());
  const status = new DataView(buffer);
  const word = status.getUint32(DESCRIPTOR.status, true);
  const checksum = status.getUint32(DESCRIPTOR.checksum, true).toString(16);
  return `${status.getUint32(DESCRIPTOR.bytesDone, true)} bytes, checksum ${checksum}, ${ERRORS[word & 0xff]}, ${OUTCOMES[(word >> 8) & 0xff]}`;
}

console.log(`a write: ${await done(OPERATION.write, DATA, 16, 0x6572_6548)}`);
console.log(new TextDecoder().decode(await m.memory.read(data.address, 16)));
console.log(`a read of it: ${await done(OPERATION.read, DATA, 16)}`);
console.log(`a write to where nothing is mapped: ${await done(OPERATION.write, DATA + 4096, 16)}`);
await dev.dma.unmap({ iova: DATA, bytes: 4096 });
console.log(`a read of what was unmapped: ${await done(OPERATION.read, DATA, 16)}`);
