import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, writeCommand } from '../../../kit/core-machine.ts';

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
