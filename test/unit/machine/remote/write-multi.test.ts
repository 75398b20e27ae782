/** Several writes in one call. */
import { describe, expect, it } from 'vitest';
import type { RegionWriteItem } from '../../../../server/src/core/machine/index.ts';
import { PROBE, REMOTE, probe, remote, type CoreMachine, type Pending } from '../../../kit/core-machine.ts';
import { answerAll, asked, remoteBench, startRead } from '../../../kit/remote-function.ts';

const COMMAND = 4;
const item = (offset: number, value: number, region = 0, bytes = 4): RegionWriteItem => ({
  region,
  offset,
  bytes,
  valueLow: value,
  valueHigh: 0,
});
const writeAll = (m: CoreMachine, writes: readonly RegionWriteItem[], bdf = REMOTE): Pending =>
  m.start({ kind: 'region-write-multi', bdf, writes });

describe('region-write-multi', () => {
  it('comes to an emulator that takes it in one call, and to another one by one', () => {
    for (const writeMulti of [true, false]) {
      const { m, emulator } = remoteBench({ writeMulti });
      const all = writeAll(m, [item(0, 1), item(4, 2), item(8, 3)]);
      expect(all.reply).toBeUndefined();
      expect(emulator.calls.map(({ call }) => call.kind)).toEqual(
        writeMulti ? ['region-write-multi'] : ['region-write', 'region-write', 'region-write'],
      );
      answerAll(m, emulator);
      expect(all.reply).toMatchObject({ kind: 'ok' });
    }
  });

  it('keeps the order round what the server does itself', () => {
    const { m, emulator } = remoteBench({ writeMulti: true });
    // Between them Memory Space Enable is cleared and set: what comes while it is clear reaches nobody.
    writeAll(m, [item(0, 1), item(COMMAND, 4, 7, 2), item(4, 2), item(COMMAND, 6, 7, 2), item(8, 3), item(12, 4)]);
    expect(asked(emulator).map(({ call }) => (call.kind === 'region-write-multi' ? call.writes.map(({ offset }) => offset) : []))).toEqual([
      [0],
      [8, 12],
    ]);
  });

  it('is not done at all where one of them cannot be', () => {
    const { m, emulator } = remoteBench();
    expect(() => writeAll(m, [item(0, 1), item(2, 1)])).toThrow('write 1: offset 0x2 is not a multiple');
    expect(() => writeAll(m, [])).toThrow('no writes');
    expect(asked(emulator)).toEqual([]);
  });

  it('has the first error for its answer, when all have been answered', () => {
    const { m, emulator } = remoteBench();
    const all = writeAll(m, [item(0, 1), item(4, 2), item(8, 3)]);
    const [first, second, third] = asked(emulator);
    m.answer(emulator, third!.token, { kind: 'error', code: 'EINVAL', message: 'third' });
    m.answer(emulator, second!.token, { kind: 'error', code: 'EIO', message: 'second' });
    expect(all.reply).toBeUndefined();
    m.answer(emulator, first!.token, { kind: 'ok' });
    expect(all.reply).toMatchObject({ kind: 'refused', code: 'EINVAL', message: 'third' });
  });

  it('is in calls of 128 at most, and posted where the claim has it so', () => {
    const { m, emulator } = remoteBench({ writeMulti: true, postedWrites: true });
    const all = writeAll(
      m,
      Array.from({ length: 300 }, (_, i) => item(4 * i, i)),
    );
    expect(all.reply).toMatchObject({ kind: 'ok' });
    expect(emulator.calls.map(({ token, call }) => [token, call.kind === 'region-write-multi' && call.writes.length])).toEqual([
      [0, 128],
      [0, 128],
      [0, 44],
    ]);
  });

  it('is for models too', () => {
    const { m } = remoteBench({}, { functions: [remote(REMOTE), probe(PROBE)] });
    expect(writeAll(m, [item(COMMAND, 0, 7, 2), item(0x0c, 0x40, 7, 1)], PROBE).reply).toMatchObject({ kind: 'ok' });
    expect(startRead(m, 7, COMMAND, 2, PROBE).reply).toMatchObject({ valueLow: 0 });
    expect(startRead(m, 7, 0x0c, 1, PROBE).reply).toMatchObject({ valueLow: 0x40 });
  });
});
