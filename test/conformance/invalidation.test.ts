/** Invariants 35–38: ITags, late completions, timeouts; and the order of an Invalidate Completion behind posted writes. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, Trace } from '../../server/src/core/base/index.ts';
import type { FunctionSpec } from '../../server/src/core/machine/index.ts';
import { InvalidationQueue } from '../../server/src/core/translation/index.ts';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const IOVA = 0x10_0000;

function withPages(m: CoreMachine, at: typeof PROBE, pages: number): void {
  for (let i = 0; i < pages; i++) {
    m.map(at, IOVA + i * 0x1000, m.allocPage());
    expect(m.outcome(at, IOVA + i * 0x1000, 'x', { translated: true })).toBe('performed');
  }
}

describe('35 ITags', () => {
  it('35 at most 32 are in flight; the rest wait; each is unique until it completes', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 40);
    m.arm(PROBE, 'late-invalidations', { count: 40, delayMs: 100 });
    const unmaps = Array.from({ length: 40 }, (_, i) => m.startUnmap(PROBE, IOVA + i * 0x1000));
    expect(m.info(PROBE).itags).toBe(32);
    const tags = m.traced('invalidation-sent', PROBE).map((record) => record.b);
    expect(new Set(tags).size).toBe(32);
    expect(Math.max(...tags)).toBe(31);
    expect(unmaps.every((unmap) => unmap.reply === undefined)).toBe(true);
    m.advance(100);
    expect(unmaps.filter((unmap) => unmap.reply !== undefined)).toHaveLength(32);
    m.advance(100);
    for (const unmap of unmaps) expect(unmap.reply).toMatchObject({ bytes: 4096n, timedOut: 0 });
  });

  it('35 a function with a shorter queue has no more in flight than that', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [shortQueue(4)] });
    withPages(m, PROBE, 6);
    m.arm(PROBE, 'late-invalidations', { count: 6, delayMs: 100 });
    const unmaps = Array.from({ length: 6 }, (_, i) => m.startUnmap(PROBE, IOVA + i * 0x1000));
    expect(m.info(PROBE).itags).toBe(4);
    m.advance(100);
    expect([unmaps.filter((unmap) => unmap.reply !== undefined).length, m.info(PROBE).itags]).toEqual([4, 2]);
    m.advance(100);
    expect(unmaps.at(-1)?.reply).toMatchObject({ bytes: 4096n, timedOut: 0 });
  });
});

describe('36 to 38 late, lost and other functions', () => {
  it('36 the late completion of a timed-out ITag never completes a new request', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 2);
    m.arm(PROBE, 'late-invalidations', { delayMs: 1500 });
    const first = m.startUnmap(PROBE, IOVA);
    m.advance(1000);
    expect(first.reply).toMatchObject({ timedOut: 1 });
    m.arm(PROBE, 'ignore-invalidations');
    const second = m.startUnmap(PROBE, IOVA + 0x1000);
    m.advance(999);
    expect(m.traced('invalidation-late', PROBE)).toHaveLength(1);
    expect(second.reply).toBeUndefined();
    m.advance(1);
    expect(second.reply).toMatchObject({ timedOut: 1 });
  });

  it('36 where every tag has timed out, the late completion pays for the old request and the new one goes on waiting', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 33);
    m.arm(PROBE, 'late-invalidations', { count: 32, delayMs: 1500 });
    for (let i = 0; i < 32; i++) m.startUnmap(PROBE, IOVA + i * 0x1000);
    m.advance(1000);
    expect(m.traced('invalidation-timeout', PROBE)).toHaveLength(32);
    m.arm(PROBE, 'ignore-invalidations');
    const last = m.startUnmap(PROBE, IOVA + 32 * 0x1000);
    expect(m.info(PROBE).itags).toBe(1);
    m.advance(999);
    expect(m.traced('invalidation-late', PROBE)).toHaveLength(32);
    expect(last.reply).toBeUndefined();
    m.advance(1);
    expect(last.reply).toMatchObject({ timedOut: 1 });
  });

  it('37 a timed-out invalidation is counted as timed out and logged with its function', () => {
    const m = new CoreMachine();
    withPages(m, PROBE, 1);
    m.arm(PROBE, 'ignore-invalidations');
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ timedOut: 1, elapsedNs: 1_000_000_000 });
    expect(m.logs().some((line) => line.startsWith('00:02.0 did not answer an Invalidate Request'))).toBe(true);
  });

  it('37 Unsupported Request, the answer of a function without an ATC, completes without error', () => {
    const queue = new InvalidationQueue({ trace: new Trace(() => 0), now: () => 0 });
    const id = queue.request(PROBE, NO_PASID, 0, 1, 0, 32);
    queue.unsupported(id);
    expect(queue.takeEffects()).toMatchObject([{ kind: 'send' }, { kind: 'settled', invalidation: { id }, timedOut: false }]);
    expect(queue.outstanding(PROBE)).toBe(0);
  });

  it('37 strict: after the timeout the function is refused its translated requests; a reset gives them back', () => {
    const m = new CoreMachine();
    withPages(m, PROBE, 2);
    m.arm(PROBE, 'ignore-invalidations');
    m.startUnmap(PROBE, IOVA);
    expect(m.outcome(PROBE, IOVA + 0x1000, 'x', { translated: true })).toBe('ats-forbidden');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.outcome(PROBE, IOVA + 0x1000, 'x', { translated: true })).toBe('performed');
  });

  it('strict: a translated request outside every live grant is refused and recorded as stale-atc, and the page is whole', () => {
    const m = new CoreMachine();
    withPages(m, PROBE, 1);
    const page = m.call('iova-to-phys', { kind: 'iova-to-phys', target: { bdf: PROBE, pasid: -1 as never }, iova: BigInt(IOVA) }).address;
    // A function that does not comply: it ignores the unmap's invalidation and the fence's, and keeps its ATC through the reset.
    m.arm(PROBE, 'ignore-invalidations', { count: 2 });
    m.arm(PROBE, 'atc-survives-reset', { count: 0 });
    m.startUnmap(PROBE, IOVA);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset', timedOut: 1 });
    expect(m.outcome(PROBE, IOVA, 'stale', { translated: true })).toBe('stale-atc');
    expect(m.events.filter((event) => event.kind === 'fault')).toMatchObject([{ cause: 'stale-atc' }]);
    expect(m.text(page, 5)).toBe('x\0\0\0\0');
  });

  it('38 a timeout of one function loses no completion of another', () => {
    const m = new CoreMachine({ clock: 'manual', functions: SIBLINGS });
    withPages(m, FIRST, 1);
    expect(m.outcome(SECOND, IOVA, 'x', { translated: true })).toBe('performed');
    m.arm(FIRST, 'ignore-invalidations');
    m.arm(SECOND, 'late-invalidations', { delayMs: 500 });
    const unmap = m.startUnmap(FIRST, IOVA);
    m.advance(500);
    expect(m.traced('invalidation-completed', SECOND)).toHaveLength(1);
    expect(unmap.reply).toBeUndefined();
    m.advance(500);
    expect(unmap.reply).toMatchObject({ timedOut: 1 });
    expect(m.traced('invalidation-timeout').map((record) => record.a)).toEqual([FIRST]);
  });

  it('38 what another function still has in flight at the timeout is completed after it', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [probe(PROBE), ...SIBLINGS] });
    withPages(m, PROBE, 1);
    withPages(m, FIRST, 1);
    m.arm(PROBE, 'ignore-invalidations');
    m.arm(FIRST, 'late-invalidations', { delayMs: 800 });
    const lost = m.startUnmap(PROBE, IOVA);
    m.advance(500);
    const late = m.startUnmap(FIRST, IOVA);
    m.advance(500);
    expect(lost.reply).toMatchObject({ timedOut: 1 });
    expect(late.reply).toBeUndefined();
    m.advance(300);
    expect(late.reply).toMatchObject({ bytes: 4096n, timedOut: 0 });
  });

  it('an Invalidate Completion stands behind the posted writes that the function issued earlier', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [probe(PROBE)] });
    withPages(m, PROBE, 1);
    const page = m.call('iova-to-phys', { kind: 'iova-to-phys', target: { bdf: PROBE, pasid: -1 as never }, iova: BigInt(IOVA) }).address;
    const held = m.write(PROBE, IOVA, 'held', { translated: true, hold: 'issued' });
    const unmap = m.startUnmap(PROBE, IOVA);
    expect(unmap.reply).toBeUndefined();
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'performed' });
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
    expect(m.text(page, 4)).toBe('held');
  });

  it('a translation completion that an invalidation overtook is not cached', () => {
    const m = new CoreMachine({ clock: 'manual' });
    m.map(PROBE, IOVA, m.allocPage());
    const translate = m.write(PROBE, IOVA, '', { operation: 'translate', bytes: 1, data: undefined, hold: 'translated' });
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    m.release(PROBE);
    expect(translate.reply).toMatchObject({ outcome: 'performed' });
    // It was granted to read; the function reads with what its ATC has, and that is nothing.
    expect(m.outcome(PROBE, IOVA, '', { operation: 'read', bytes: 4, data: undefined, translated: true })).toBe('no-access');
  });
});

describe('what an invalidation takes, and what stands before its completion', () => {
  const granted = (m: CoreMachine): number => m.traced('ats-granted', PROBE).length;
  const used = (m: CoreMachine, iova = IOVA): string => m.outcome(PROBE, iova, 'x', { translated: true });

  it('a read with a translated address stands before it, as a write does', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 1);
    const read = m.write(PROBE, IOVA, '', { operation: 'read', bytes: 4, data: undefined, translated: true, hold: 'issued' });
    const unmap = m.startUnmap(PROBE, IOVA);
    expect(unmap.reply).toBeUndefined();
    m.release(PROBE);
    expect(read.reply).toMatchObject({ outcome: 'performed' });
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
  });

  it('a grant that was made after it, from newer tables, outlives it', () => {
    const m = new CoreMachine({ clock: 'manual' });
    withPages(m, PROBE, 1);
    m.arm(PROBE, 'late-invalidations', { delayMs: 100 });
    const unmap = m.startUnmap(PROBE, IOVA);
    m.map(PROBE, IOVA, m.allocPage());
    // A translation request passes what stands in the posted queue.
    expect(m.outcome(PROBE, IOVA, '', { operation: 'translate', bytes: 1, data: undefined })).toBe('performed');
    m.advance(100);
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
    const before = granted(m);
    const read = m.outcome(PROBE, IOVA, '', { operation: 'read', bytes: 4, data: undefined, translated: true });
    expect([read, granted(m)]).toEqual(['performed', before]);
  });

  it('a Clear-to-Set change of ATS Enable empties the ATC; writing it again does not', () => {
    const m = new CoreMachine();
    withPages(m, PROBE, 1);
    const control = atsControl(m);
    const write = (value: number): void =>
      void m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: control, bytes: 2, valueLow: value, valueHigh: 0 });
    write(0x8000);
    expect([used(m), granted(m)]).toEqual(['performed', 1]);
    write(0);
    write(0x8000);
    expect([used(m), granted(m)]).toEqual(['performed', 2]);
  });

  it('a function that was reset owes no completion any more: its tags are as new', () => {
    const tagAfter = (reset: boolean): number => {
      const m = new CoreMachine({ behaviour: 'linux-7.1' });
      withPages(m, PROBE, 2);
      m.arm(PROBE, 'ignore-invalidations');
      expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ timedOut: 1 });
      if (reset) m.reset(PROBE, false);
      m.startUnmap(PROBE, IOVA + 0x1000);
      return m.traced('invalidation-sent', PROBE).at(-1)!.b;
    };
    expect([tagAfter(false), tagAfter(true)]).toEqual([1, 0]);
  });
});

/** Offset of the ATS Control register. */
function atsControl(m: CoreMachine): number {
  for (let at = 0x100; at !== 0;) {
    const header = m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 7, offset: at, bytes: 4 }).valueLow;
    if ((header & 0xffff) === 0x000f) return at + 6;
    at = header >>> 20;
  }
  throw new Error('no ATS capability');
}

/** A probe whose Invalidate Queue Depth (bits 4:0 of the ATS Capability register) is this. */
function shortQueue(depth: number): FunctionSpec {
  const spec = probe(PROBE);
  const config = spec.config.slice();
  const view = new DataView(config.buffer);
  let at = 0x100;
  while (at !== 0 && view.getUint16(at, true) !== 0x000f) at = view.getUint16(at + 2, true) >>> 4;
  view.setUint16(at + 4, (view.getUint16(at + 4, true) & ~0x1f) | depth, true);
  return { ...spec, config };
}
