/** A scatter list of a function that a peer plays. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { REMOTE, type CoreMachine, type TestPeer } from '../../../kit/core-machine.ts';
import { remoteBench } from '../../../kit/remote-function.ts';

const IOVA = 0x1_0000;
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

interface Range {
  readonly iova: number;
  readonly bytes: number;
}
function list(m: CoreMachine, { id }: TestPeer, ranges: readonly Range[], data?: Uint8Array): ReturnType<CoreMachine['start']> {
  return m.start(
    {
      kind: 'dma-list',
      bdf: REMOTE,
      ranges: ranges.map(({ iova, bytes }) => ({ iovaLow: iova | 0, iovaHigh: iova < 0 ? -1 : 0, bytes })),
      write: data !== undefined,
      data,
      pasid: NO_PASID,
    },
    id,
  );
}
function mapped(): { m: CoreMachine; emulator: TestPeer; page: bigint } {
  const { m, emulator } = remoteBench();
  const page = m.allocPage();
  m.map(REMOTE, IOVA, page);
  return { m, emulator, page };
}

describe('dma-list', () => {
  it('says for whom it is with a PASID only, a write executes nothing, and then nothing was begun', () => {
    const { m, emulator } = mapped();
    const terms = { kind: 'dma-list', bdf: REMOTE, ranges: [{ iovaLow: IOVA, iovaHigh: 0, bytes: 4 }] } as const;
    const read = { ...terms, write: false, data: undefined, pasid: NO_PASID };
    for (const [command, field] of [
      [{ ...read, privileged: true }, 'privileged'],
      [{ ...read, execute: true }, 'execute'],
      [{ ...terms, write: true, data: text('four'), pasid: 5 as typeof NO_PASID, execute: true }, 'execute'],
    ] as const) {
      expect(() => m.start(command, emulator.id)).toThrow(expect.objectContaining({ code: 'EINVAL', field }));
    }
    expect(m.call('machine-status', { kind: 'machine-status' })).toMatchObject({ waiting: [] });
  });

  it('writes range after range, and reads them back into one piece', () => {
    const { m, emulator, page } = mapped();
    const ranges = [
      { iova: IOVA + 8, bytes: 3 },
      { iova: IOVA, bytes: 2 },
      { iova: IOVA + 4093, bytes: 3 },
    ];
    const written = list(m, emulator, ranges, text('onetwxyz'));
    expect(written.reply).toMatchObject({
      kind: 'dma-list',
      data: undefined,
      results: [{ bytesDone: 3 }, { bytesDone: 2 }, { bytesDone: 3 }],
    });
    expect([m.text(page + 8n, 3), m.text(page, 2), m.text(page + 4093n, 3)]).toEqual(['one', 'tw', 'xyz']);
    const read = list(m, emulator, ranges);
    expect(read.reply).toMatchObject({
      kind: 'dma-list',
      data: text('onetwxyz'),
      results: [{ outcome: 'performed', data: undefined }, {}, {}],
    });
  });

  it('has a result for each, whatever comes of the others; what was not read is 0', () => {
    const { m, emulator, page } = mapped();
    m.call('ok', { kind: 'memory-write', address: page, data: text('abcd') });
    const { reply } = list(m, emulator, [
      { iova: IOVA + 4096, bytes: 2 },
      { iova: IOVA, bytes: 2 },
      { iova: IOVA + 4095, bytes: 3 },
      { iova: IOVA + 2, bytes: 2 },
    ]);
    expect(reply).toMatchObject({
      results: [
        { outcome: 'not-present', bytesDone: 0, failedIova: BigInt(IOVA + 4096) },
        { outcome: 'performed', bytesDone: 2, failedIova: undefined },
        { outcome: 'not-present', bytesDone: 1, failedIova: BigInt(IOVA + 4096) },
        { outcome: 'performed' },
      ],
      data: Uint8Array.from([0, 0, 97, 98, 0, 0, 0, 99, 100]),
    });
  });

  it('that a reset aborts is answered once, for all', () => {
    const { m, emulator } = mapped();
    m.start({ kind: 'fault-arm', bdf: REMOTE, fault: 'hold', first: 1, count: 1, point: 'issued', delayNs: 0 });
    const held = list(
      m,
      emulator,
      [
        { iova: IOVA, bytes: 4 },
        { iova: IOVA, bytes: 4 },
      ],
      text('abcdefgh'),
    );
    expect(held.reply).toBeUndefined();
    m.prepare(REMOTE);
    expect(held.reply).toMatchObject({ kind: 'dma-list', results: [{ outcome: 'aborted' }, { outcome: 'aborted' }] });
    expect(list(m, emulator, [{ iova: IOVA, bytes: 1 }]).reply).toMatchObject({ results: [{ outcome: 'gate-closed', requests: 0 }] });
  });

  it.each([
    ['no ranges', [], undefined, '1 to 256 ranges, not 0'],
    ['too many', Array.from({ length: 257 }, () => ({ iova: 0, bytes: 1 })), undefined, '1 to 256 ranges, not 257'],
    [
      'an empty one',
      [
        { iova: 0, bytes: 1 },
        { iova: 0, bytes: 0 },
      ],
      undefined,
      'range 1 has 0 bytes',
    ],
    [
      'too many bytes',
      [
        { iova: 0, bytes: 1 << 20 },
        { iova: 0, bytes: 1 },
      ],
      undefined,
      '1048576 at most',
    ],
    ['data that does not fit', [{ iova: 0, bytes: 3 }], text('ab'), 'the ranges have 3 bytes, and data 2'],
    [
      'an end beyond 64 bits',
      [
        { iova: 0, bytes: 1 },
        { iova: -2, bytes: 3 },
      ],
      undefined,
      'range 1: 3 bytes from there go beyond 64 bits',
    ],
  ])('is refused with %s, and nothing is issued', (_, ranges, data, message) => {
    const { m, emulator } = mapped();
    expect(() => list(m, emulator, ranges, data)).toThrow(message);
    expect(m.traced('dma-issued', REMOTE)).toEqual([]);
  });

  it('with a PASID that is none is refused before anything has begun', () => {
    const { m, emulator } = mapped();
    const ranges = [{ iovaLow: IOVA, iovaHigh: 0, bytes: 1 }];
    const command = { kind: 'dma-list', bdf: REMOTE, ranges, write: false, data: undefined, pasid: 0x10_0000 as typeof NO_PASID } as const;
    expect(() => m.start(command, emulator.id)).toThrow(/pasid|PASID/);
    expect(m.call('machine-status', { kind: 'machine-status' }).waiting).toEqual([]);
  });

  it('of the largest size is one call, and 256 ranges are', () => {
    const { m, emulator } = mapped();
    expect(list(m, emulator, [{ iova: 0x40_0000, bytes: 1 << 20 }]).reply).toMatchObject({ results: [{ outcome: 'not-present' }] });
    const many = Array.from({ length: 256 }, (_, i) => ({ iova: IOVA + i, bytes: 1 }));
    expect(list(m, emulator, many).reply).toMatchObject({ results: many.map(() => ({ outcome: 'performed' })) });
  });
});
