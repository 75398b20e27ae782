import { describe, expect, it } from 'vitest';
import { NO_PASID, type DmaOperation } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, REMOTE, writeCommand } from '../../../kit/core-machine.ts';
import { remoteBench } from '../../../kit/remote-function.ts';

const MIB = 1 << 20;

it('a function with 131,072 requests in flight is refused more, and goes on when some have gone', () => {
  const m = new CoreMachine();
  const issue = () =>
    m.start({
      kind: 'model-dma',
      bdf: PROBE,
      operation: 'write',
      iovaLow: 0,
      iovaHigh: 0,
      bytes: MIB,
      data: new Uint8Array(MIB),
      pasid: NO_PASID,
      translated: false,
      hold: 'issued',
      holdNs: 0,
    });
  const inFlight = (): number => {
    const list = m.call('function-list', { kind: 'function-list' });
    return list.functions.find(({ bdf }) => bdf === PROBE)!.inFlight;
  };
  let refused = issue().reply;
  for (let i = 0; i < 200 && refused === undefined; i++) refused = issue().reply;
  expect(refused).toMatchObject({ kind: 'refused', code: 'EAGAIN', about: 'function' });
  const most = inFlight();
  expect(most).toBeGreaterThanOrEqual(131_072);
  expect(most).toBeLessThan(131_072 + 8192);
  m.release(PROBE);
  expect(inFlight()).toBe(0);
  expect(issue().reply).toBeUndefined();
});

describe('a DMA', () => {
  it('that goes beyond 64 bits is EINVAL; one that ends there faults', () => {
    const m = new CoreMachine();
    const last = 0xffff_ffff_ffff_f000n;
    expect(() => m.start(writeCommand(PROBE, last, 'x'.repeat(4097)))).toThrow(/go beyond 64 bits/);
    expect(m.call('dma', writeCommand(PROBE, last, 'x'.repeat(4096))).outcome).not.toBe('performed');
  });

  it('a translation request is not made with ATS Enable clear', () => {
    const m = new CoreMachine();
    m.map(PROBE, 0x1000, m.allocPage());
    const translate = (): string => m.outcome(PROBE, 0x1000, '', { operation: 'translate', bytes: 1, data: undefined });
    expect(translate()).toBe('performed');
    m.call('ok', { kind: 'reset-trigger', bdf: PROBE, method: 'flr' });
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
    expect(translate()).toBe('ats-forbidden');
  });
});

describe('an atomic of a function that a peer plays', () => {
  const IOVA = 0x1_0000;
  const operands = (...values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
  function bench() {
    const { m, emulator } = remoteBench();
    const page = m.allocPage();
    m.map(REMOTE, IOVA, page);
    const atomic = (operation: DmaOperation, data: Uint8Array, more: object = {}) => {
      const place = { bdf: REMOTE, iovaLow: IOVA, iovaHigh: 0, bytes: 4, pasid: NO_PASID } as const;
      return m.start({ kind: 'dma-atomic', ...place, operation, data, ...more }, emulator.id).reply;
    };
    return { m, page, atomic };
  }

  it('has what was there, and leaves what it makes of that', () => {
    const { m, page, atomic } = bench();
    m.call('ok', { kind: 'memory-write', address: page, data: operands(0xffff_ffff, 7) });
    expect(atomic('fetch-add', operands(3))).toMatchObject({ outcome: 'performed', data: operands(0xffff_ffff) });
    expect(atomic('compare-and-swap', operands(1, 9))).toMatchObject({ outcome: 'performed', data: operands(2) });
    expect(atomic('compare-and-swap', operands(2, 9))).toMatchObject({ outcome: 'performed', data: operands(2) });
    expect(atomic('swap', operands(5), { iovaLow: IOVA + 4 })).toMatchObject({ outcome: 'performed', data: operands(7) });
    expect(m.call('memory-read', { kind: 'memory-read', address: page, bytes: 8 }).data).toEqual(operands(9, 5));
  });

  it('is refused where it is none, where its operands do not fit, or where it is not aligned', () => {
    const { m, page, atomic } = bench();
    const wrong: readonly (readonly [DmaOperation, Uint8Array, object, string])[] = [
      ['write', operands(1), {}, 'operation'],
      ['read', operands(1), {}, 'operation'],
      ['fetch-add', operands(1, 2), {}, 'data'],
      ['compare-and-swap', operands(1), {}, 'data'],
      ['swap', operands(1, 2, 3, 4), { bytes: 16 }, 'bytes'],
      ['swap', operands(1), { iovaLow: IOVA + 2 }, 'bytes'],
      ['swap', operands(1), { privileged: true }, 'privileged'],
    ];
    for (const [operation, data, more, about] of wrong) {
      expect(() => atomic(operation, data, more), `${operation} ${about}`).toThrow(
        expect.objectContaining({ code: 'EINVAL', field: about }),
      );
    }
    expect(m.call('memory-read', { kind: 'memory-read', address: page, bytes: 8 }).data).toEqual(operands(0, 0));
  });

  it('needs the right to write', () => {
    const { m, atomic } = bench();
    const address = m.allocPage();
    const target = { bdf: REMOTE, pasid: NO_PASID };
    m.call('ok', { kind: 'map', target, iova: 0x2_0000n, address, bytes: 4096n, access: 1 });
    expect(atomic('fetch-add', operands(1), { iovaLow: 0x2_0000 })).toMatchObject({ outcome: 'not-permitted', bytesDone: 0 });
  });
});
