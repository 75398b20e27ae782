/** Invariants 5, 9, 12, 13, 16 to 18 and 42 between the steps of a call: what others do there, while a host holds it. */
import { describe, expect, it } from 'vitest';
import type { Behaviour, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { FIRST, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';
import { HoldMachine } from '../kit/hold-machine.ts';

const IOVA = 0x1_0000;
const BOTH = ['strict', 'linux-7.1'] as const;

function machine(behaviour: Behaviour = 'strict', functions?: readonly FunctionSpec[]): HoldMachine {
  return new HoldMachine({ clock: 'manual', behaviour, ...(functions === undefined ? {} : { functions }) });
}

/** A domain on the function's RID, or on a PASID of it, of which its ATC holds a page. */
function cached(m: HoldMachine, pasid?: number): { readonly domain: number; readonly page: bigint } {
  const domain = m.allocDomain();
  const page = m.allocPage();
  m.map({ domain }, IOVA, page);
  m.call('ok', pasid === undefined ? m.attach(PROBE, domain) : m.attachPasid(PROBE, pasid, domain));
  expect(m.outcome(PROBE, IOVA, 'a', { translated: true, ...(pasid === undefined ? {} : { pasid }) })).toBe('performed');
  return { domain, page };
}

/** The page is unmapped, and goes to somebody else as soon as it may: at once. */
function unmapAndReuse(m: HoldMachine, domain: number, page: bigint): void {
  expect(m.startUnmap({ domain }, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
  m.call('ok', { kind: 'memory-free', address: page });
  expect(m.allocPage()).toBe(page);
  m.call('ok', { kind: 'memory-write', address: page, data: new TextEncoder().encode('MINE!') });
}

describe('an unmap between two steps of a move', () => {
  it.each(['attach', 'prepare'] as const)('18 of a domain that a function is leaving asks it to invalidate: %s', (call) => {
    const m = machine();
    const { domain, page } = cached(m);
    m.hold(call, 'atc-sent');
    if (call === 'attach') m.start(m.attach(PROBE, m.allocDomain()));
    else m.startPrepare(PROBE);
    expect(m.held()).toEqual([`${call} atc-sent`]);
    const sent = m.traced('invalidation-sent', PROBE).length;
    unmapAndReuse(m, domain, page);
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(sent + 1);
    m.outcome(PROBE, IOVA, 'stale', { translated: true });
    expect(m.text(page, 5)).toBe('MINE!');
  });

  it.each(BOTH)('18 %s: of a domain that a PASID of a function is leaving asks it to invalidate', (behaviour) => {
    const m = machine(behaviour);
    const { domain, page } = cached(m, 5);
    m.hold('pasid-attach', 'atc-sent');
    m.start(m.attachPasid(PROBE, 5, m.allocDomain(), true));
    expect(m.held()).toEqual(['pasid-attach atc-sent']);
    unmapAndReuse(m, domain, page);
    m.outcome(PROBE, IOVA, 'stale', { translated: true, pasid: 5 });
    expect(m.text(page, 5)).toBe('MINE!');
  });

  it.each(BOTH)('18 %s: a function that done has given its domain back is asked, though blocked is still set', (behaviour) => {
    const m = machine(behaviour);
    const { domain, page } = cached(m);
    m.prepare(PROBE);
    const hold = m.hold('done', 'blocked');
    const done = m.start({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false });
    expect(m.held()).toEqual(['done blocked']);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { id: domain } });
    // The gate of strict is still closed; in Linux nothing else keeps the function from its domain.
    const inside = m.outcome(PROBE, IOVA, 'inside', { translated: true });
    expect(inside).toBe(behaviour === 'strict' ? 'gate-closed' : 'performed');
    unmapAndReuse(m, domain, page);
    m.letGo(hold);
    expect(done.reply).toMatchObject({ kind: 'reset-done', depth: 0, warning: '' });
    expect(m.outcome(PROBE, IOVA, 'stale', { translated: true })).not.toBe('performed');
    expect(m.text(page, 5)).toBe('MINE!');
  });

  it.each([undefined, 5])('18 linux-7.1: awaits translated writes in flight, though prepare has cleared ATS Enable: PASID %s', (pasid) => {
    const m = machine('linux-7.1');
    const { domain, page } = cached(m, pasid);
    const late = m.write(PROBE, IOVA, 'late!', { translated: true, hold: 'issued', ...(pasid === undefined ? {} : { pasid }) });
    m.hold('prepare', 'rid');
    m.startPrepare(PROBE);
    expect(m.held()).toEqual(['prepare rid']);
    expect(m.info(PROBE)).toMatchObject({ atsEnabled: false, blocked: false });
    const unmap = m.startUnmap({ domain }, IOVA);
    expect([late.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.release(PROBE);
    // It was in front of the Invalidate Completion, and landed while the page was still its owner's.
    expect(late.reply).toMatchObject({ outcome: 'performed' });
    expect(m.text(page, 5)).toBe('late!');
    expect(unmap.reply).toMatchObject({ kind: 'unmap', timedOut: 0 });
  });

  // Without ATS in use no Invalidate Completion pushes the write in front of it.
  it.each(['RID, with ATS', 'RID, without ATS', 'PASID 5'])(
    '17 linux-7.1: prepare awaits what was translated before its context moved: %s',
    (which) => {
      const m = machine('linux-7.1');
      const pasid = which === 'PASID 5' ? { pasid: 5 } : {};
      const { page } = which === 'RID, without ATS' ? { page: m.allocPage() } : cached(m, pasid.pasid);
      const iova = which === 'RID, without ATS' ? Number(page) : IOVA;
      if (which === 'RID, without ATS') m.call('ok', m.attach(PROBE, m.allocDomain('identity')));
      else m.call('ok', m.attachPasid(PROBE, 6, m.allocDomain()));
      const hold = m.hold('prepare', which === 'PASID 5' ? 'pasid' : 'rid');
      const prepare = m.startPrepare(PROBE);
      const late = m.write(PROBE, iova, 'late!', { hold: 'translated', ...pasid });
      expect(late.reply).toBeUndefined();
      m.letGo(hold);
      expect(prepare.reply).toBeUndefined();
      expect(m.text(page, 5)).not.toBe('late!');
      m.release(PROBE);
      expect(late.reply).toMatchObject({ outcome: 'performed' });
      expect(m.text(page, 5)).toBe('late!');
      expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 0 });
      expect(m.write(PROBE, iova, 'later', pasid).reply).toMatchObject({ outcome: 'blocked-domain' });
    },
  );

  it('16 what such an unmap sent is awaited by the prepare', () => {
    const m = machine();
    const { domain } = cached(m);
    m.arm(PROBE, 'late-invalidations', { delayMs: 5, count: 0 });
    const hold = m.hold('prepare', 'atc-sent');
    const prepare = m.startPrepare(PROBE);
    const unmap = m.startUnmap({ domain }, IOVA);
    m.letGo(hold);
    expect([prepare.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.advance(5);
    expect(prepare.reply).toMatchObject({ completed: 2, timedOut: 0 });
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
  });

  it('16 nothing is sent behind the whole-ATC invalidation, at whichever step the prepare stands', () => {
    const m = machine();
    const { domain } = cached(m, 5);
    const pages = Array.from({ length: 20 }, (_, i) => IOVA + (i + 1) * 0x1000);
    for (const iova of pages) m.map({ domain }, iova, m.allocPage());
    const first = m.hold('prepare', 'atc-sent');
    const prepare = m.startPrepare(PROBE);
    const rest = m.hold('prepare', '');
    m.letGo(first);
    const sent = m.traced('invalidation-sent', PROBE).length;
    const steps: string[] = [];
    for (let held = m.held(); held.length > 0; held = m.held()) {
      steps.push(...held);
      expect(m.startUnmap({ domain }, pages.shift()!).reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
      m.letGo(rest, { keep: true });
    }
    expect(steps).toEqual(['atc-completed', 'ats-enable', 'blocked', 'pasid', 'iotlb', 'count', 'unlock'].map((step) => `prepare ${step}`));
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(sent);
    expect(prepare.reply).toMatchObject({ completed: 1 });
  });
});

describe('a function whose prepare stands between two steps', () => {
  it('17 linux-7.1: gets no translation under a PASID that prepare has yet to move', () => {
    const m = machine('linux-7.1');
    const { domain } = cached(m, 5);
    const fresh = IOVA + 0x1000;
    m.map({ domain }, fresh, m.allocPage());
    const asking = m.write(PROBE, fresh, '', { operation: 'translate', bytes: 1, data: undefined, pasid: 5, hold: 'issued' });
    m.hold('prepare', 'pasid');
    m.startPrepare(PROBE);
    expect(m.held()).toEqual(['prepare pasid']);
    m.release(PROBE);
    expect(asking.reply).toMatchObject({ kind: 'dma', outcome: 'ats-forbidden' });
  });
});

describe('what a call finds when it has the mutex', () => {
  it.each(BOTH)('9 %s: an attach that was on its way before the window is EBUSY, and nothing moves', (behaviour) => {
    const m = machine(behaviour, SIBLINGS);
    const domain = m.allocDomain();
    const hold = m.hold('attach', 'lock');
    const attach = m.start(m.attach(SECOND, domain));
    m.prepare(FIRST);
    const before = [m.info(FIRST), m.info(SECOND), m.group(FIRST)];
    m.letGo(hold);
    expect(attach.reply).toMatchObject({ kind: 'refused', code: 'EBUSY' });
    expect([m.info(FIRST), m.info(SECOND), m.group(FIRST)]).toEqual(before);
  });

  it.each(BOTH)('13 %s: a done that comes while a detach is at work restores what the detach leaves', (behaviour) => {
    const m = machine(behaviour, SIBLINGS);
    const domain = m.allocDomain();
    m.call('ok', m.attach(FIRST, domain));
    m.prepare(FIRST);
    const hold = m.hold('detach', 'rid');
    const detach = m.start({ kind: 'domain-detach', bdf: FIRST });
    const done = m.start({ kind: 'reset-done', bdf: FIRST, token: 'w', all: false });
    expect([detach.reply, done.reply]).toEqual([undefined, undefined]);
    expect(m.info(FIRST).physicalDomain).toMatchObject({ type: 'blocked' });
    m.letGo(hold);
    expect(detach.reply).toMatchObject({ kind: 'ok' });
    expect(done.reply).toMatchObject({ kind: 'reset-done', depth: 0, warning: '' });
    const { defaultDomain } = m.group(FIRST);
    expect([m.info(FIRST).physicalDomain, m.info(SECOND).physicalDomain]).toEqual([defaultDomain, defaultDomain]);
  });

  it.each(BOTH)('5 %s: a prepare that is sent again before the first has its window gets that window', (behaviour) => {
    const m = machine(behaviour);
    const hold = m.hold('prepare', 'lock');
    const [first, again] = [m.startPrepare(PROBE), m.startPrepare(PROBE)];
    expect(m.held()).toEqual(['prepare lock', 'prepare lock']);
    m.letGo(hold);
    expect(first.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(again.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(m.info(PROBE)).toMatchObject({ resetDepth: 1 });
    m.done(PROBE);
    expect(m.info(PROBE)).toMatchObject({ resetDepth: 0, blocked: false });
  });

  it.each(['test', 'lock', 'check'] as const)('42 a deferred attach that stands before its %s opens nothing in a window', (step) => {
    for (const behaviour of BOTH) {
      const m = machine(behaviour, [{ ...probe(PROBE), deferAttach: true }]);
      m.map(PROBE, IOVA, m.allocPage());
      const hold = m.hold('deferred-attach', step);
      const attach = m.start({ kind: 'deferred-attach', bdf: PROBE });
      const prepare = m.startPrepare(PROBE);
      // Before `check` it has the mutex, and the prepare waits for it.
      expect(prepare.reply?.kind).toBe(step === 'check' ? undefined : 'reset-prepare');
      m.letGo(hold);
      // Linux does not look again under the mutex whether anything is still deferred.
      const busy = behaviour === 'linux-7.1' && step === 'lock';
      expect(attach.reply).toMatchObject(busy ? { kind: 'refused', code: 'EBUSY' } : { kind: 'ok' });
      expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
      expect(m.info(PROBE)).toMatchObject({ attachDeferred: false, blocked: true, physicalDomain: { type: 'blocked' } });
      expect(m.outcome(PROBE, IOVA, 'inside')).not.toBe('performed');
      m.done(PROBE);
      expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    }
  });

  it.each(BOTH)('12 %s: a detach between two members names the old domain until all have moved, and a prepare waits', (behaviour) => {
    const m = machine(behaviour, SIBLINGS);
    const domain = m.allocDomain();
    m.call('ok', m.attach(FIRST, domain));
    const { defaultDomain } = m.group(FIRST);
    const hold = m.hold('detach', 'rid');
    const detach = m.start({ kind: 'domain-detach', bdf: FIRST });
    m.letGo(hold, { keep: true });
    expect(m.held()).toEqual(['detach rid']);
    expect(m.info(FIRST)).toMatchObject({ logicalDomain: { id: domain }, physicalDomain: defaultDomain });
    expect(m.info(SECOND)).toMatchObject({ logicalDomain: { id: domain }, physicalDomain: { id: domain } });
    const prepare = m.startPrepare(SECOND);
    expect([detach.reply, prepare.reply]).toEqual([undefined, undefined]);
    m.letGo(hold);
    expect(detach.reply).toMatchObject({ kind: 'ok' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(m.info(FIRST).physicalDomain).toEqual(defaultDomain);
    expect(m.info(SECOND)).toMatchObject({ logicalDomain: defaultDomain, physicalDomain: { type: 'blocked' } });
  });
});
