/**
 * edu as a driver's author meets it: by QEMU's document (docs/specs/edu.rst) and nothing else. Each story is told to the server's own model, to the example
 * that plays it from another connection, and to the one in Python, which is a program of its own and has the socket only.
 */
import { afterAll, expect } from 'vitest';
import { edu as played } from '../../client/examples/edu-device.ts';
import { endPythonEdu, missingForPython, playPythonEdu } from '../kit/python-edu.ts';
import { eventually, scenario, type ScenarioBody, type ScenarioMachine, type ScenarioOptions } from '../kit/scenario.ts';

afterAll(endPythonEdu);

const [IDENT, LIVENESS, FACTORIAL, STATUS, IRQ_STATUS, IRQ_RAISE, IRQ_ACK] = [0x00, 0x04, 0x08, 0x20, 0x24, 0x60, 0x64];
const [SOURCE, DESTINATION, COUNT, COMMAND] = [0x80, 0x88, 0x90, 0x98];
const [COMPUTING, RAISE] = [0x01, 0x80];
const [START, TO_RAM, RAISE_WHEN_DONE] = [1, 2, 4];
const BUFFER = 0x40000;
const IOVA = 0x10000;

/** `basic`, with a slot in place of its edu. */
const SLOT = {
  schema: 'iommud.topology/v1',
  functions: [
    { address: '00:00.0', model: 'host-bridge' },
    { address: '00:03.0', model: 'remote' },
  ],
};

const missing = missingForPython();
if (missing !== undefined) console.log(`note: edu as a Python function is SKIPPED: ${missing}`);

function eduScenario(title: string, options: ScenarioOptions, body: ScenarioBody): void {
  scenario(title, { preset: 'basic', played: 'none', ...options }, body);
  scenario(`played by the example: ${title}`, { topology: SLOT, ...options }, async (m) => {
    const emulator = await m.connect(['device']);
    await played.claim(emulator, '00:03.0');
    await body(m);
  });
  scenario(`played in Python: ${title}`, { topology: SLOT, ...options, drivers: ['socket'], skip: missing !== undefined }, async (m) => {
    await playPythonEdu(m.socketUrl, '00:03.0');
    await body(m);
  });
}

function edu(m: ScenarioMachine) {
  const dev = m.function('00:03.0');
  const bar = dev.bar(0);
  const read = (offset: number): Promise<number> => bar.read(offset, 4);
  const write = (offset: number, value: number): Promise<unknown> => bar.write(offset, 4, value);
  const start = async (from: number, to: number, bytes: number, command: number): Promise<void> => {
    await write(SOURCE, from);
    await write(DESTINATION, to);
    await write(COUNT, bytes);
    await write(COMMAND, START | command);
  };
  const finished = async (): Promise<void> => {
    await eventually(async () => expect((await read(COMMAND)) & START).toBe(0));
  };
  return { dev, bar, read, write, start, finished };
}

function text(data: string): Uint8Array {
  return new TextEncoder().encode(data);
}

eduScenario('edu says what it is, and is there', {}, async (m) => {
  const { dev, read, write } = edu(m);
  expect(await dev.info()).toMatchObject({ vendor: 0x1234, device: 0x11e8, classCode: 0x00_ff00 });
  expect(await read(IDENT)).toBe(0x0100_00ed);
  await write(LIVENESS, 0x00ff_1234);
  expect(await read(LIVENESS)).toBe(0xff00_edcb);
});

eduScenario('edu computes while its clock stands, and has computed when it has passed', { clock: 'manual' }, async (m) => {
  const { read, write } = edu(m);
  await write(STATUS, RAISE);
  await write(FACTORIAL, 10);
  expect(await read(STATUS)).toBe(COMPUTING | RAISE);
  await write(FACTORIAL, 3);
  await m.clock.advance({ ms: 1 });
  expect([await read(STATUS), await read(FACTORIAL), await read(IRQ_STATUS)]).toEqual([RAISE, 3_628_800, 1]);
  await write(IRQ_RAISE, 0x20);
  await write(IRQ_ACK, 1);
  expect(await read(IRQ_STATUS)).toBe(0x20);
});

eduScenario("a round trip through edu's buffer and the IOMMU", {}, async (m) => {
  const { dev, read, start, finished } = edu(m);
  const page = await m.mapped(dev, IOVA);
  await m.memory.write(page, text('there and back again'));
  await start(IOVA, BUFFER + 16, 20, RAISE_WHEN_DONE);
  await finished();
  await start(BUFFER + 16, IOVA + 100, 20, TO_RAM);
  await finished();
  expect(await m.text(page + 100n, 20)).toBe('there and back again');
  expect(await read(IRQ_STATUS)).toBe(0x100);
});

eduScenario('edu takes 100 ms for a transfer, and its registers stand meanwhile', { clock: 'manual' }, async (m) => {
  const { dev, read, write, start } = edu(m);
  const page = await m.mapped(dev, IOVA);
  await start(BUFFER, IOVA, 4, TO_RAM);
  await m.memory.write(page, text('RAM.'));
  await write(DESTINATION, 0);
  await m.clock.advance({ ms: 99 });
  expect([await read(COMMAND), await read(DESTINATION), await m.text(page, 4)]).toEqual([START | TO_RAM, IOVA, 'RAM.']);
  await m.clock.advance({ ms: 1 });
  expect([await read(COMMAND), await m.text(page, 4)]).toEqual([TO_RAM, '\0\0\0\0']);
});

eduScenario('a transfer of edu to where nothing is mapped faults, and only the IOMMU says so', {}, async (m) => {
  const { dev, read, start, finished } = edu(m);
  const page = await m.mapped(dev, IOVA);
  await m.memory.write(page, text('kept'));
  await start(IOVA + 4096, BUFFER, 64, 0);
  await finished();
  expect(await m.faults.next()).toMatchObject({ text: '00:03.0 read 0x11000: not present', iova: 0x11000n });
  await start(BUFFER, 0, 64, TO_RAM | RAISE_WHEN_DONE);
  await finished();
  expect(await m.faults.next()).toMatchObject({ text: '00:03.0 write 0x0: not present' });
  expect([await read(IRQ_STATUS), await m.text(page, 4)]).toEqual([0x100, 'kept']);
});

eduScenario('edu has 28 address bits: the upper ones of an IOVA are lost', {}, async (m) => {
  const { dev, start, finished } = edu(m);
  const page = await m.mapped(dev, IOVA);
  await m.memory.write(page, text('full'));
  await start(BUFFER, 0x7001_0000, 4, TO_RAM);
  await finished();
  expect(await m.text(page, 4)).toBe('\0\0\0\0');
});

eduScenario('a reset with a window in the middle of a transfer: it is aborted, and nothing is written after', {}, async (m) => {
  const { dev, read, start } = edu(m);
  const page = await m.mapped(dev, IOVA);
  await m.memory.write(page, text('kept'));
  await dev.faults.arm('hold', { point: 'translated' });
  await start(BUFFER, IOVA, 4, TO_RAM | RAISE_WHEN_DONE);
  await eventually(async () => expect(await dev.ledger()).toMatchObject([{ held: true, iova: BigInt(IOVA), bytes: 4 }]));
  expect(await dev.reset({ method: 'pm', deadlineMs: 10, onDeadline: 'abort' })).toMatchObject({ method: 'pm', aborted: 1 });
  expect([await m.text(page, 4), await dev.ledger()]).toEqual(['kept', []]);
  expect([await read(COMMAND), await read(COUNT), await read(IRQ_STATUS)]).toEqual([0, 0, 0]);
});

async function enableMsi(m: ScenarioMachine, address: number, data: number): Promise<void> {
  const { config } = m.function('00:03.0');
  let at = await config.read(0x34, 1);
  while ((await config.read(at, 1)) !== 0x05) at = await config.read(at + 1, 1);
  await config.write(at + 4, 4, address);
  await config.write(at + 8, 4, 0);
  await config.write(at + 12, 2, data);
  await config.write(at + 2, 2, (await config.read(at + 2, 2)) | 1);
}

eduScenario('a factorial ends in an MSI, and the handler acknowledges it', { clock: 'manual' }, async (m) => {
  const { read, write } = edu(m);
  await enableMsi(m, 0xfee0_0000, 0x45);
  await write(STATUS, RAISE);
  await write(FACTORIAL, 5);
  expect(m.interrupts.take()).toEqual([]);
  await m.clock.advance({ ms: 1 });
  expect(m.interrupts.take()).toMatchObject([{ function: '00:03.0', address: 0xfee0_0000n, data: 0x45, sourceVector: 0, count: 1 }]);
  expect([await read(IRQ_STATUS), await read(FACTORIAL)]).toEqual([1, 120]);
  await write(IRQ_ACK, 1);
  expect([await read(IRQ_STATUS), m.intx.take()]).toEqual([0, []]);
});

eduScenario('without MSI the line is asserted until all is acknowledged', {}, async (m) => {
  const { dev, write, start, finished } = edu(m);
  await m.mapped(dev, IOVA);
  await write(IRQ_RAISE, 0x10);
  expect(m.intx.take()).toMatchObject([{ function: '00:03.0', pin: 'A', asserted: true }]);
  await start(IOVA, BUFFER, 8, RAISE_WHEN_DONE);
  await finished();
  await write(IRQ_ACK, 0x10);
  expect(m.intx.take()).toEqual([]);
  await write(IRQ_ACK, 0x100);
  expect(m.intx.take()).toMatchObject([{ function: '00:03.0', pin: 'A', asserted: false }]);
  expect(m.interrupts.take()).toEqual([]);
});
