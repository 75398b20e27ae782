/** Invariants 16–21: what the window guarantees, and who waits for it. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

function mapped(options: ConstructorParameters<typeof CoreMachine>[0] = {}): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine(options);
  const page = m.allocPage();
  m.map(options.functions?.[0]?.bdf ?? PROBE, IOVA, page);
  return { m, page };
}

describe('16 to 18 what the window guarantees', () => {
  it('16 an invalidation sent before prepare is completed or failed when prepare answers', () => {
    const { m } = mapped({ clock: 'manual' });
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.arm(PROBE, 'late-invalidations', { delayMs: 300 });
    const unmap = m.startUnmap(PROBE, IOVA);
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 500 });
    expect([unmap.reply, prepare.reply]).toEqual([undefined, undefined]);
    m.advance(299);
    expect(prepare.reply).toBeUndefined();
    m.advance(1);
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 0 });
    expect(m.info(PROBE).itags).toBe(0);
  });

  it('16 one that is never answered has failed when prepare answers', () => {
    const { m } = mapped({ clock: 'manual' });
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.arm(PROBE, 'ignore-invalidations', { count: 2 });
    m.startUnmap(PROBE, IOVA);
    const prepare = m.startPrepare(PROBE);
    m.advance(999);
    expect(prepare.reply).toBeUndefined();
    m.advance(1);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', timedOut: 2, completed: 0 });
    expect(m.info(PROBE).itags).toBe(0);
  });

  it('16 an unmap while the fence waits sends nothing new: the whole-ATC invalidation is the one that it awaits too', () => {
    const { m } = mapped({ clock: 'manual' });
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    expect(m.outcome(PROBE, IOVA, 'x', { translated: true, pasid: 5 })).toBe('performed');
    m.arm(PROBE, 'late-invalidations', { count: 0, delayMs: 100 });
    const prepare = m.startPrepare(PROBE);
    const sent = m.traced('invalidation-sent', PROBE).length;
    const unmap = m.startUnmap({ domain }, IOVA);
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(sent);
    m.advance(99);
    expect([prepare.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.advance(1);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', completed: 1, timedOut: 0 });
    expect(unmap.reply).toMatchObject({ timedOut: 0 });
    expect(m.info(PROBE).itags).toBe(0);
  });

  it('16 the drain does not let a late Invalidate Completion go early, and does not wait for it: the fence does', () => {
    const { m } = mapped({ clock: 'manual' });
    m.outcome(PROBE, IOVA, 'x', { translated: true });
    m.arm(PROBE, 'late-invalidations', { delayMs: 5000 });
    const unmap = m.startUnmap(PROBE, IOVA);
    const prepare = m.startPrepare(PROBE, 'w', { deadlineMs: 10, onDeadline: 'fail' });
    m.advance(999);
    expect([unmap.reply, prepare.reply]).toEqual([undefined, undefined]);
    m.advance(1);
    expect(unmap.reply).toMatchObject({ timedOut: 1 });
    // The completion for the whole ATC stands behind the late one.
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', drained: 0, aborted: 0, completed: 0, timedOut: 2 });
  });

  it('18 strict: after a timeout translated requests are refused in every context, until the next attach', () => {
    const { m } = mapped({ clock: 'manual' });
    const [domain, other] = [m.allocDomain(), m.allocDomain()];
    for (const each of [domain, other]) m.map({ domain: each }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    const refused = (): boolean | undefined => m.machine.inspect().functions[0]?.translatedRefused;
    const both = (): readonly string[] =>
      [undefined, 5].map((pasid) => m.outcome(PROBE, IOVA, 'x', { translated: true, ...(pasid === undefined ? {} : { pasid }) }));
    m.map(PROBE, IOVA + 0x1000, m.allocPage());
    expect(both()).toEqual(['performed', 'performed']);
    expect(m.outcome(PROBE, IOVA + 0x1000, 'x', { translated: true })).toBe('performed');
    m.arm(PROBE, 'ignore-invalidations');
    const unmap = m.startUnmap(PROBE, IOVA + 0x1000);
    expect(refused()).toBe(false);
    m.advance(1000);
    expect(unmap.reply).toMatchObject({ timedOut: 1 });
    expect(refused()).toBe(true);
    expect(both()).toEqual(['ats-forbidden', 'ats-forbidden']);
    m.call('ok', m.attach(PROBE, other));
    expect(refused()).toBe(false);
    expect(both()[0]).toBe('performed');
  });

  it('18 an unmap in a domain that the function is leaving awaits the Invalidate Request of the leaving', () => {
    const { m } = mapped({ clock: 'manual' });
    const [domain, other] = [m.allocDomain(), m.allocDomain()];
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attach(PROBE, domain));
    expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('performed');
    m.arm(PROBE, 'late-invalidations', { count: 0, delayMs: 100 });
    const attach = m.start(m.attach(PROBE, other));
    const sent = m.traced('invalidation-sent', PROBE).length;
    const unmap = m.startUnmap({ domain }, IOVA);
    expect(m.traced('invalidation-sent', PROBE)).toHaveLength(sent);
    m.advance(99);
    expect([attach.reply, unmap.reply]).toEqual([undefined, undefined]);
    m.advance(1);
    expect(attach.reply).toMatchObject({ kind: 'ok' });
    expect(unmap.reply).toMatchObject({ timedOut: 0, bytes: 4096n });
  });

  it.each(['strict', 'linux-7.1'] as const)(
    '15 %s: a function whose ATS is not on is sent nothing when it leaves a domain',
    (behaviour) => {
      const trusted = probe(PROBE);
      for (const fn of [probe(PROBE, { ats: false }), { ...trusted, untrusted: true }]) {
        const m = new CoreMachine({ behaviour, functions: [fn] });
        for (const domain of [m.allocDomain(), m.allocDomain()]) m.call('ok', m.attach(PROBE, domain));
        m.call('ok', { kind: 'domain-detach', bdf: PROBE });
        m.prepare(PROBE);
        m.done(PROBE);
        expect(m.traced('invalidation-sent')).toEqual([]);
      }
    },
  );

  it('17 linux-7.1: what was translated under a PASID is performed before prepare answers', () => {
    const { m } = mapped({ behaviour: 'linux-7.1', clock: 'manual' });
    const domain = m.allocDomain();
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.write(PROBE, IOVA, 'early', { pasid: 5, hold: 'translated' });
    const prepare = m.startPrepare(PROBE);
    m.advance(2000);
    expect(prepare.reply).toBeUndefined();
    m.release(PROBE);
    expect(m.text(page, 5)).toBe('early');
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
  });

  it.each(['strict', 'linux-7.1'] as const)(
    '17 %s: no translation request and no translated write of a blocked function succeeds',
    (behaviour) => {
      const { m, page } = mapped({ behaviour });
      expect(m.outcome(PROBE, IOVA, 'before', { translated: true })).toBe('performed');
      m.prepare(PROBE);
      expect(m.outcome(PROBE, IOVA, 'inside', { translated: true })).not.toBe('performed');
      expect(m.outcome(PROBE, IOVA, '', { operation: 'translate', bytes: 1, data: undefined })).not.toBe('performed');
      expect(m.text(page, 6)).toBe('before');
    },
  );

  it('17 linux-7.1: a translated write that a switch let go after prepare is refused by the translation agent', () => {
    const { m, page } = mapped({ behaviour: 'linux-7.1', clock: 'manual' });
    m.outcome(PROBE, IOVA, 'before', { translated: true });
    const held = m.write(PROBE, IOVA, 'inside', { translated: true, hold: 'issued' });
    const prepare = m.startPrepare(PROBE);
    m.release(PROBE);
    expect(held.reply).toMatchObject({ outcome: 'ats-forbidden' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare' });
    expect(m.text(page, 6)).toBe('before');
  });

  it('18 map and unmap work in the window, and done shows the new contents and no stale entry', () => {
    const { m, page } = mapped();
    m.outcome(PROBE, IOVA, 'old', { translated: true });
    m.prepare(PROBE);
    expect(m.startUnmap(PROBE, IOVA).reply).toMatchObject({ kind: 'unmap', bytes: 4096n, timedOut: 0 });
    const fresh = m.allocPage();
    m.map(PROBE, IOVA, fresh);
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'new', { translated: true })).toBe('performed');
    expect(m.outcome(PROBE, IOVA + 8, 'NEW')).toBe('performed');
    expect(m.text(fresh, 11)).toBe('new\0\0\0\0\0NEW');
    expect(m.text(page, 3)).toBe('old');
  });
});

describe('19 to 21 siblings and waiting', () => {
  it('19 the logical query names the retained domain; the driver query says blocking only for the blocked device', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const { logicalDomain } = m.info(FIRST);
    m.prepare(FIRST);
    expect(m.info(FIRST)).toMatchObject({ logicalDomain, physicalDomain: { type: 'blocked' } });
    expect(m.info(SECOND)).toMatchObject({ logicalDomain, physicalDomain: logicalDomain });
  });

  it('20 two siblings reset concurrently are independent; the fence lifts with the last done', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    m.map(FIRST, IOVA, m.allocPage());
    const other = m.allocDomain();
    m.prepare(FIRST, 'a');
    expect(m.outcome(SECOND, IOVA)).toBe('performed');
    m.prepare(SECOND, 'b');
    m.done(FIRST, 'a');
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
    expect(m.outcome(SECOND, IOVA)).toBe('gate-closed');
    expect(m.refusal(m.attach(FIRST, other))).toBe('EBUSY');
    m.done(SECOND, 'b');
    expect(m.outcome(SECOND, IOVA)).toBe('performed');
    m.call('ok', m.attach(FIRST, other));
  });

  it('21 during the whole reset wait, commands on other functions and groups finish in their own step', () => {
    const m = new CoreMachine({ clock: 'manual', functions: [probe(PROBE), ...SIBLINGS] });
    m.arm(PROBE, 'never-ready');
    const reset = m.reset(PROBE);
    for (let ms = 0; ms < 400; ms += 50) {
      expect(m.group(PROBE).busy).toBe(false);
      const domain = m.allocDomain();
      m.call('ok', m.attach(FIRST, domain));
      m.map(FIRST, IOVA, m.allocPage());
      expect(m.outcome(SECOND, IOVA)).toBe('performed');
      expect(m.refusal(m.attach(PROBE, domain))).toBe('EBUSY');
      m.call('ok', { kind: 'domain-detach', bdf: FIRST });
      m.advance(50);
      expect(reset.reply).toBeUndefined();
    }
  });

  it('21 while prepare itself drains, an attach to the group waits in arrival order and a map goes on', () => {
    const { m } = mapped({ clock: 'manual' });
    m.write(PROBE, IOVA, 'held', { hold: 'translated' });
    const prepare = m.startPrepare(PROBE, 'a', { deadlineMs: 10 });
    const attach = m.start(m.attach(PROBE, m.allocDomain()));
    const nested = m.startPrepare(PROBE, 'b');
    m.map(PROBE, IOVA + 0x1000, m.allocPage());
    expect(m.group(PROBE)).toMatchObject({ busy: true, waiting: 2 });
    expect([prepare.reply, attach.reply, nested.reply]).toEqual([undefined, undefined, undefined]);
    m.advance(10);
    expect(prepare.reply).toMatchObject({ aborted: 1, depth: 1 });
    expect(attach.reply).toMatchObject({ code: 'EBUSY' });
    expect(nested.reply).toMatchObject({ depth: 2 });
  });
});
