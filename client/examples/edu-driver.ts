/** Plays the educational device of `edu-device.ts` in a machine, and drives it as a kernel's driver would. */
import { startMachine } from 'iommud/testing';
import { edu } from './edu-device.ts';

const BDF = '00:04.0';
const IOVA = 0x10000;
const BUFFER = 0x40000;
const [FACTORIAL, STATUS, SOURCE, DESTINATION, COUNT, COMMAND] = [0x08, 0x20, 0x80, 0x88, 0x90, 0x98];
const [START, TO_RAM] = [1, 2];

await using m = await startMachine({ preset: 'basic', seed: 7 });
await using emulator = await m.connect(['device']);
await using _device = await edu.claim(emulator, BDF);

const dev = m.function(BDF);
const bar = dev.bar(0);
const until = async (register: number, mask: number): Promise<void> => {
  while (((await bar.read(register, 4)) & mask) !== 0) await m.clock.info();
};

await bar.write(FACTORIAL, 4, 10);
await until(STATUS, 1);
console.log(`10! = ${await bar.read(FACTORIAL, 4)}`);

const page = await m.memory.alloc(4096);
await dev.dma.map({ iova: IOVA, address: page.address, bytes: 4096, access: 'rw' });
await m.memory.write(page.address, 'there and back');
const copy = async (from: number, to: number, command: number): Promise<void> => {
  await bar.writeMany([
    { offset: SOURCE, bytes: 8, value: from },
    { offset: DESTINATION, bytes: 8, value: to },
    { offset: COUNT, bytes: 8, value: 14 },
    { offset: COMMAND, bytes: 8, value: START | command },
  ]);
  await until(COMMAND, START);
};
await copy(IOVA, BUFFER, 0);
await copy(BUFFER, IOVA + 100, TO_RAM);
console.log(new TextDecoder().decode(await m.memory.read(page.address + 100n, 14)));

await copy(BUFFER, IOVA + 4096, TO_RAM);
console.log((await m.faults.next()).text);
