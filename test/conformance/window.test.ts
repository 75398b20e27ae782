/** Invariants 1–8 of the reset window: pci_dev_reset_iommu_prepare() and pci_dev_reset_iommu_done(). */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, MS, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = {}): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine(options);
  const page = m.allocPage();
  m.map(options.functions?.[0]?.bdf ?? PROBE, IOVA, page);
  return { m, page };
}

describe('1 prepare and done without ATS or IOMMU', () => {
  it('1 no IOMMU: 0, and nothing changes', () => {
    const m = new CoreMachine({ iommu: false });
    const before = m.info(PROBE);
    expect(m.prepare(PROBE)).toMatchObject({ skipped: true, depth: 0 });
    expect(m.info(PROBE)).toEqual(before);
    expect(m.done(PROBE)).toMatchObject({ skipped: true, warning: '' });
    expect(m.info(PROBE)).toEqual(before);
  });

  it('1 linux-7.1, no ATS: 0, and translation goes on inside', () => {
    const { m, page } = mapped({ behaviour: 'linux-7.1', functions: [probe(PROBE, { ats: false })] });
    expect(m.prepare(PROBE)).toMatchObject({ skipped: true });
    expect(m.info(PROBE)).toMatchObject({ blocked: false, resetDepth: 0, gate: 'open' });
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe('performed');
    expect(m.text(page, 6)).toBe('inside');
    expect(m.done(PROBE)).toMatchObject({ skipped: true });
  });

  it('1 strict, no ATS: gates, drains and blocks all the same', () => {
    const { m, page } = mapped({ functions: [probe(PROBE, { ats: false })] });
    expect(m.prepare(PROBE)).toMatchObject({ skipped: false, depth: 1 });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, gate: 'closed' });
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe('gate-closed');
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    expect(m.text(page, 5)).toBe('after');
  });
});

describe('2 and 3 what prepare leaves', () => {
  it.each(['strict', 'linux-7.1'] as const)('2 %s: the physical RID domain is blocking, the logical one as before', (behaviour) => {
    const { m } = mapped({ behaviour });
    const { logicalDomain } = m.info(PROBE);
    m.prepare(PROBE);
    const inside = m.info(PROBE);
    expect(inside.logicalDomain).toEqual(logicalDomain);
    expect(inside.physicalDomain).toMatchObject({ type: 'blocked' });
    expect(inside.blocked).toBe(true);
  });

  it('2 linux-7.1: an untranslated write in the window faults as blocked', () => {
    const { m, page } = mapped({ behaviour: 'linux-7.1' });
    m.prepare(PROBE);
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe('blocked-domain');
    expect(m.text(page, 1)).toBe('\0');
  });

  it('3 every PASID of that device is blocked, and the PASID table is as before; the sibling keeps its own', () => {
    const m = new CoreMachine({ behaviour: 'linux-7.1', functions: SIBLINGS });
    const domain = m.allocDomain();
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    m.call('ok', m.attachPasid(FIRST, 5, domain));
    m.call('ok', m.attachPasid(FIRST, 6, domain));
    m.prepare(FIRST);
    for (const pasid of m.info(FIRST).pasids) {
      expect(pasid).toMatchObject({ logicalDomain: { id: domain }, physicalDomain: { type: 'blocked' } });
    }
    expect(m.info(FIRST).pasids.map((one) => one.pasid)).toEqual([5, 6]);
    expect(m.outcome(FIRST, IOVA, 'x', { pasid: 5 })).toBe('blocked-domain');
    expect(m.outcome(SECOND, IOVA, 'y', { pasid: 5 })).toBe('performed');
    m.done(FIRST);
    expect(m.outcome(FIRST, IOVA, 'x', { pasid: 6 })).toBe('performed');
  });
});

describe('4 an error of prepare', () => {
  it('4 the hardware refuses the blocking domain: depth, blocked, count and RID domain are as before', () => {
    const { m, page } = mapped();
    const before = m.info(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.startPrepare(PROBE).reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect(m.info(PROBE)).toEqual(before);
    expect(m.group(PROBE)).toMatchObject({ recoveryCount: 0, busy: false });
    expect(m.outcome(PROBE, IOVA, 'alive')).toBe('performed');
    expect(m.text(page, 5)).toBe('alive');
  });

  it('4 onDeadline fail: ETIMEDOUT, the gate reopened, and the held request lives', () => {
    const { m, page } = mapped();
    const held = m.write(PROBE, IOVA, 'held', { hold: 'translated' });
    const before = m.info(PROBE);
    expect(m.startPrepare(PROBE, 'w', { deadlineMs: 5, onDeadline: 'fail' }).reply).toMatchObject({ code: 'ETIMEDOUT', elapsedNs: 5 * MS });
    expect(m.info(PROBE)).toEqual(before);
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 4)).toBe('held');
  });
});

describe('5 and 6 depth', () => {
  it('5 a nested prepare only raises the depth; translation is back at the matching last done', () => {
    const { m } = mapped();
    m.prepare(PROBE, 'outer');
    expect(m.prepare(PROBE, 'inner')).toMatchObject({ depth: 2, completed: 0, drained: 0 });
    expect(m.group(PROBE).recoveryCount).toBe(1);
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(1);
    expect(m.done(PROBE, 'inner')).toMatchObject({ depth: 1 });
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
    expect(m.info(PROBE).blocked).toBe(true);
    expect(m.done(PROBE, 'outer')).toMatchObject({ depth: 0 });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('5 windows may close in any order; the last one opens the function', () => {
    const { m } = mapped();
    m.prepare(PROBE, 'outer');
    m.prepare(PROBE, 'inner');
    expect(m.done(PROBE, 'outer')).toMatchObject({ depth: 1 });
    expect(m.info(PROBE).windows).toEqual(['inner']);
    expect(m.outcome(PROBE, IOVA)).toBe('gate-closed');
    m.done(PROBE, 'inner');
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('5 the same token is the same window: the same answer, and no deeper', () => {
    const { m } = mapped();
    const first = m.prepare(PROBE, 'w');
    expect(m.prepare(PROBE, 'w')).toEqual({ ...first, elapsedNs: 0 });
    expect(m.info(PROBE)).toMatchObject({ resetDepth: 1, windows: ['w'] });
    m.done(PROBE, 'w');
    expect(m.info(PROBE).blocked).toBe(false);
  });

  it('6 done at depth 0: a warning and no change', () => {
    const { m } = mapped();
    const before = m.info(PROBE);
    expect(m.done(PROBE).warning).toContain('no open window');
    expect(m.info(PROBE)).toEqual(before);
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.logs()).toHaveLength(1);
  });

  it('6 done for a window that is not open: a warning, and the open one stays', () => {
    const { m } = mapped();
    m.prepare(PROBE, 'mine');
    expect(m.done(PROBE, 'yours').warning).toContain('"yours"');
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 1, windows: ['mine'] });
  });

  it('6 done {all} ends every window of a host that is gone', () => {
    const { m } = mapped();
    m.prepare(PROBE, 'a');
    m.prepare(PROBE, 'b');
    expect(m.call('reset-done', { kind: 'reset-done', bdf: PROBE, token: '', all: true })).toMatchObject({ depth: 0 });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
    expect(m.prepare(PROBE, 'a')).toMatchObject({ depth: 1 });
  });
});

describe('7 and 8 counts', () => {
  it('7 the recovery count is the number of functions in a window, whatever their depth', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const counts = [m.group(FIRST).recoveryCount];
    const note = () => counts.push(m.group(FIRST).recoveryCount);
    m.prepare(FIRST, 'a');
    note();
    m.prepare(FIRST, 'b');
    note();
    m.prepare(SECOND, 'c');
    note();
    m.done(FIRST, 'b');
    note();
    m.done(FIRST, 'a');
    note();
    m.done(SECOND, 'c');
    note();
    m.done(SECOND, 'c');
    note();
    expect(counts).toEqual([0, 1, 1, 2, 2, 1, 0, 0]);
  });

  it('8 blocked exactly while the depth is above 0', () => {
    const { m } = mapped();
    const seen: [number, boolean][] = [];
    const note = () => {
      const { resetDepth, blocked } = m.info(PROBE);
      seen.push([resetDepth, blocked]);
    };
    note();
    m.prepare(PROBE, 'a');
    note();
    m.prepare(PROBE, 'b');
    note();
    m.done(PROBE, 'a');
    note();
    m.done(PROBE, 'b');
    note();
    expect(seen).toEqual([
      [0, false],
      [1, true],
      [2, true],
      [1, true],
      [0, false],
    ]);
  });
});
