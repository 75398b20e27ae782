/** Invariant 42: a deferred attach never opens a function in its window. */
import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, PROBE, SECOND, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

function deferred(behaviour: Behaviour): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine({ behaviour, functions: [{ ...probe(PROBE), deferAttach: true }] });
  const page = m.allocPage();
  m.map(PROBE, IOVA, page);
  return { m, page };
}
const attach = (at = PROBE) => ({ kind: 'deferred-attach', bdf: at }) as const;

describe.each(['strict', 'linux-7.1'] as const)('%s: a deferred attach', (behaviour) => {
  it('42 leaves the function without translation until its first use', () => {
    const { m, page } = deferred(behaviour);
    expect(m.info(PROBE)).toMatchObject({ attachDeferred: true, blocked: false });
    expect(m.outcome(PROBE, IOVA, 'early')).toBe('blocked-domain');
    m.call('ok', attach());
    expect(m.info(PROBE)).toMatchObject({ attachDeferred: false, physicalDomain: { type: 'paging' } });
    expect(m.outcome(PROBE, IOVA, 'first')).toBe('performed');
    expect(m.text(page, 5)).toBe('first');
  });

  it('42 that is not deferred is 0 at once: also in a window, and while another holds the mutex', () => {
    const m = new CoreMachine({ behaviour, clock: 'manual' });
    m.call('ok', attach());
    m.map(PROBE, IOVA, m.allocPage());
    m.prepare(PROBE);
    m.call('ok', attach());
    expect(m.info(PROBE).physicalDomain?.type).toBe('blocked');
    m.done(PROBE);
    expect(m.write(PROBE, IOVA, 'late', { hold: 'translated' }).reply).toBeUndefined();
    const detached = m.start({ kind: 'domain-attach', bdf: PROBE, domain: m.allocDomain() });
    expect(detached.reply).toBeUndefined();
    m.call('ok', attach());
  });
});

describe.each(['strict', 'linux-7.1'] as const)('%s: a deferred attach and a window', (behaviour) => {
  it('42 in a window does nothing: prepare moved the function, which ended the deferral', () => {
    const { m, page } = deferred(behaviour);
    m.prepare(PROBE);
    expect(m.info(PROBE).attachDeferred).toBe(false);
    m.call('ok', attach());
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, IOVA, 'inside')).not.toBe('performed');
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    expect(m.text(page, 5)).toBe('after');
  });

  it('42 that meets a prepare on its way waits for it, and then opens nothing', () => {
    const m = new CoreMachine({ behaviour, clock: 'manual', functions: [{ ...probe(PROBE), deferAttach: true }] });
    // What prepare waits for: the Invalidate Completion of a PASID's ATC, which stands behind a held write.
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.write(PROBE, IOVA, 'held', { hold: 'translated', pasid: 5 });
    const prepared = m.start({ kind: 'reset-prepare', bdf: PROBE, token: 'w', deadlineNs: 1_000_000, onDeadline: 'abort' });
    expect(prepared.reply).toBeUndefined();
    const attached = m.start(attach());
    // Linux has moved the RID already, so that nothing is deferred any more; strict is still draining, and the call waits for the mutex.
    if (behaviour === 'strict') expect(attached.reply).toBeUndefined();
    else expect(attached.reply).toMatchObject({ kind: 'ok' });
    expect(m.outcome(PROBE, IOVA, 'early')).not.toBe('performed');
    m.advance(1);
    m.start({ kind: 'dma-release', bdf: PROBE, request: 0 });
    m.advance(2000);
    expect(prepared.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(attached.reply).toMatchObject({ kind: 'ok' });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, attachDeferred: false, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, IOVA, 'inside')).not.toBe('performed');
  });

  it('42 of a sibling that is not blocked succeeds in the window of another', () => {
    const m = new CoreMachine({
      behaviour,
      functions: [probe(FIRST, { multiFunction: true }), { ...probe(SECOND, { multiFunction: true }), deferAttach: true }],
    });
    m.map(FIRST, IOVA, m.allocPage());
    m.prepare(FIRST);
    expect(m.info(SECOND).attachDeferred).toBe(true);
    m.call('ok', attach(SECOND));
    expect(m.outcome(SECOND, IOVA, 'sibling')).toBe('performed');
    expect(m.outcome(FIRST, IOVA, 'blocked')).not.toBe('performed');
  });

  it('42 that the hardware refuses is EIO, and stays deferred', () => {
    const { m } = deferred(behaviour);
    m.call('fault-armed', { kind: 'fault-arm', bdf: PROBE, fault: 'attach-fails', first: 1, count: 1, delayNs: 0, point: 'issued' });
    expect(m.refusal(attach())).toBe('EIO');
    expect(m.info(PROBE).attachDeferred).toBe(true);
    m.call('ok', attach());
    expect(m.info(PROBE).attachDeferred).toBe(false);
  });
});

describe.each(['strict', 'linux-7.1'] as const)('%s: a deferred attach that has looked without the mutex', (behaviour) => {
  it('42 that looked before a prepare, and has the mutex after it, opens nothing: EBUSY in Linux, which does not look again', () => {
    const { m, page } = deferred(behaviour);
    const { hold } = m.call('call-hold', { kind: 'call-hold', call: 'deferred-attach', step: 'lock', bdf: undefined, count: 0 });
    const attached = m.start(attach());
    m.prepare(PROBE);
    m.call('ok', { kind: 'call-release', hold, stopped: 0, keep: false });
    expect(attached.reply).toMatchObject(behaviour === 'strict' ? { kind: 'ok' } : { kind: 'refused', code: 'EBUSY' });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, attachDeferred: false, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, IOVA, 'inside')).not.toBe('performed');
    m.done(PROBE);
    m.call('ok', attach());
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    expect(m.text(page, 5)).toBe('after');
  });
});

describe('deferred attach', () => {
  it('42 linux-7.0 of a sibling is EBUSY in the window of another: it fenced the whole group', () => {
    const functions = [probe(FIRST, { multiFunction: true }), { ...probe(SECOND, { multiFunction: true }), deferAttach: true }];
    const m = new CoreMachine({ behaviour: 'linux-7.0', functions });
    m.prepare(FIRST);
    expect(m.refusal(attach(SECOND))).toBe('EBUSY');
    m.done(FIRST);
    m.call('ok', attach(SECOND));
    expect(m.info(SECOND).attachDeferred).toBe(false);
  });

  it('42 without an IOMMU is 0, and names a function that there is', () => {
    const m = new CoreMachine({ iommu: false });
    m.call('ok', attach());
    expect(() => m.start(attach(SECOND))).toThrow(/no function at 00:05.1/);
  });
});
