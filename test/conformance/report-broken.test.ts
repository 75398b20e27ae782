/** Invariant 40 (proposed for Linux; `strict`): reporting a function broken blocks it at once, is idempotent, and ends by a successful reset. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = {}): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine(options);
  const page = m.allocPage();
  m.map(options.functions?.[0]?.bdf ?? PROBE, IOVA, page);
  return { m, page };
}
function report(m: CoreMachine, at = PROBE): void {
  m.call('ok', { kind: 'report-broken', bdf: at });
}

describe('40 a function that is reported broken', () => {
  it('40 is blocked at once: RID, PASIDs, translation requests and translated requests, and it is asked for nothing', () => {
    const { m, page } = mapped();
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, page);
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    const sent = m.traced('invalidation-sent', PROBE).length;
    report(m);
    const info = m.info(PROBE);
    expect(info).toMatchObject({ blocked: true, resetDepth: 0, gate: 'closed', atsEnabled: false, physicalDomain: { type: 'blocked' } });
    expect(info.logicalDomain?.type).toBe('paging');
    expect(info.pasids).toMatchObject([{ pasid: 5, logicalDomain: { id: domain }, physicalDomain: { type: 'blocked' } }]);
    for (const fields of [{}, { pasid: 5 }, { translated: true }]) expect(m.outcome(PROBE, IOVA, 'y', fields)).not.toBe('performed');
    expect(m.text(page, 1)).toBe('x');
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(sent);
  });

  it('40 drops what it had in flight', () => {
    const { m, page } = mapped({ clock: 'manual' });
    const held = m.write(PROBE, IOVA, 'late', { hold: 'translated' });
    report(m);
    expect(held.reply).toMatchObject({ outcome: 'aborted' });
    expect([m.info(PROBE).inFlight, m.text(page, 4)]).toEqual([0, '\0\0\0\0']);
  });

  it('40 said again is as it was, and says it once', () => {
    const { m } = mapped();
    report(m);
    const [info, group, traced] = [m.info(PROBE), m.group(PROBE), m.trace.length];
    report(m);
    expect([m.info(PROBE), m.group(PROBE), m.trace.length]).toEqual([info, group, traced]);
    expect(m.logs().filter((text) => text.includes('broken'))).toHaveLength(1);
  });

  it('40 is in no window: the count and its siblings are as before, and the group may be attached', () => {
    const { m } = mapped({ functions: SIBLINGS });
    report(m, FIRST);
    expect(m.group(FIRST).recoveryCount).toBe(0);
    expect(m.info(SECOND).blocked).toBe(false);
    expect(m.outcome(SECOND, IOVA)).toBe('performed');
    const domain = m.allocDomain();
    m.call('ok', m.attach(SECOND, domain));
    expect(m.info(FIRST)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' }, logicalDomain: { id: domain } });
  });

  it('40 is free again after a reset that succeeds, with what is attached then', () => {
    const { m, page } = mapped();
    report(m);
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset', warning: '' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false, gate: 'open', resetDepth: 0 });
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.outcome(PROBE, IOVA, 'back', { translated: true })).toBe('performed');
    expect(m.text(page, 4)).toBe('back');
  });

  it('40 stays blocked after a reset that fails, and after a window in which nothing was reset', () => {
    const { m } = mapped();
    report(m);
    m.arm(PROBE, 'never-ready');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'refused' });
    expect(m.info(PROBE).blocked).toBe(true);
    m.start({ kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    m.prepare(PROBE);
    expect(m.done(PROBE).warning).toContain('stays blocked');
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0 });
    m.reset(PROBE);
    expect(m.info(PROBE).blocked).toBe(false);
  });

  it('40 in a window is blocked already, and stays so when the window closes', () => {
    const { m } = mapped();
    m.prepare(PROBE);
    report(m);
    expect(m.group(PROBE).recoveryCount).toBe(1);
    expect(m.done(PROBE).warning).toContain('stays blocked');
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0 });
    expect(m.group(PROBE).recoveryCount).toBe(0);
  });

  it('40 while its prepare drains is blocked at once, and a prepare that had given up would have found nothing in flight', () => {
    const { m } = mapped({ clock: 'manual' });
    m.write(PROBE, IOVA, 'late', { hold: 'issued' });
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10, onDeadline: 'fail' });
    expect(prepare.reply).toBeUndefined();
    report(m);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, inFlight: 0 });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(m.done(PROBE).warning).toContain('stays blocked');
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0 });
  });

  it('40 while its fence waits for a silent function is blocked, and does not wait for it', () => {
    const { m } = mapped({ clock: 'manual' });
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.arm(PROBE, 'ignore-invalidations', { count: 0 });
    const prepare = m.startPrepare(PROBE);
    expect([prepare.reply, m.info(PROBE).blocked]).toEqual([undefined, false]);
    report(m);
    expect(m.info(PROBE).blocked).toBe(true);
    m.advance(1000);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 1 });
    expect(m.done(PROBE).warning).toContain('stays blocked');
  });

  it('40 has its page requests answered Invalid Request', () => {
    const m = new CoreMachine();
    m.call('ok', m.attach(PROBE, m.allocFaultDomain()));
    const pending = m.requestPages(PROBE, { iova: IOVA });
    report(m);
    expect(pending.reply).toMatchObject({ answer: 'invalid' });
  });

  it.each(['linux-7.1', 'linux-7.0'] as const)('40 is not there in %s: refused, and nothing is changed', (behaviour) => {
    const { m } = mapped({ behaviour });
    expect(m.refusal({ kind: 'report-broken', bdf: PROBE })).toBe('EOPNOTSUPP');
    expect(m.info(PROBE).blocked).toBe(false);
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });
});
