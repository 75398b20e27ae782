/** Invariants 17 and 18 of a function whose Smallest Translation Unit is more than a page: it caches units, and one page takes a whole one from it. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, REGION } from '../../server/src/core/base/index.ts';
import { CoreMachine, PROBE } from '../kit/core-machine.ts';

const TRANSLATED = { translated: true };
/** ATS Control of the probe, and the same for units of 4 pages with Enable. */
const ATS_CONTROL = 0x132;
const ENABLED = 0x8002;
/** IOVA of a unit. */
const UNIT = 0x8000;

function control(m: CoreMachine, valueLow: number): void {
  m.call('ok', { kind: 'region-write', bdf: PROBE, region: REGION.config, offset: ATS_CONTROL, bytes: 2, valueLow, valueHigh: 0 });
}

/** Its units have 4 pages, and one of them is mapped: to pages that are contiguous, and aligned as the unit is. */
function machine(): { m: CoreMachine; address: bigint } {
  const m = new CoreMachine();
  control(m, 0);
  control(m, ENABLED);
  const { address: from } = m.call('memory-alloc', { kind: 'memory-alloc', bytes: 0x8000n });
  const address = (from + 0x3fffn) & ~0x3fffn;
  for (let page = 0; page < 4; page++) m.map(PROBE, UNIT + page * 0x1000, address + BigInt(page) * 0x1000n);
  return { m, address };
}

function outcomes(m: CoreMachine): readonly string[] {
  return [0, 1, 2, 3].map((page) => m.outcome(PROBE, UNIT + page * 0x1000, 'x', TRANSLATED));
}

describe('a function with units of 4 pages', () => {
  it('asks once for all that is in one', () => {
    const { m, address } = machine();
    expect(outcomes(m)).toEqual(['performed', 'performed', 'performed', 'performed']);
    expect(m.traced('ats-granted', PROBE)).toHaveLength(1);
    expect(m.text(address + 0x3000n, 1)).toBe('x');
  });

  it('18 loses a unit with a page of it, and is not granted it again: the page is missing', () => {
    const { m } = machine();
    outcomes(m);
    expect(m.startUnmap(PROBE, UNIT + 0x2000).reply).toMatchObject({ bytes: 0x1000n, timedOut: 0 });
    expect(m.traced('ats-dropped', PROBE).map((record) => record.c)).toEqual([1]);
    expect(outcomes(m)).toEqual(['no-access', 'no-access', 'no-access', 'no-access']);
    expect(m.outcome(PROBE, UNIT, 'untranslated')).toBe('performed');
    expect(m.traced('stale-atc')).toEqual([]);
  });

  it('keeps its unit where software writes another while ATS is enabled', () => {
    const { m } = machine();
    control(m, 0x8000);
    outcomes(m);
    expect(m.traced('ats-granted', PROBE)).toHaveLength(1);
    const at = { iovaLow: UNIT + 0x1234, iovaHigh: 0, bytes: 1, pasid: NO_PASID, hold: undefined, holdNs: 0 } as const;
    const { grants } = m.call('dma', { kind: 'model-dma', bdf: PROBE, operation: 'translate', data: undefined, translated: false, ...at });
    expect(grants?.[0]?.bytes).toBe(0x4000);
  });
});
