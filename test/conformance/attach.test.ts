/** Invariants 9–15, 25, 28, 43–46: what others see inside the window, and the rules of attach. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

describe('9 to 12 attach and detach in the window', () => {
  it('9 attach is EBUSY for the target and for its sibling, and nothing moves', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const domain = m.allocDomain();
    m.prepare(FIRST);
    const before = [m.info(FIRST), m.info(SECOND), m.group(FIRST)];
    expect(m.refusal(m.attach(FIRST, domain))).toBe('EBUSY');
    expect(m.refusal(m.attach(SECOND, domain))).toBe('EBUSY');
    expect([m.info(FIRST), m.info(SECOND), m.group(FIRST)]).toEqual(before);
  });

  it('9 another default domain is EBUSY in the window, and the old one is kept with what is mapped in it', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    m.map(FIRST, IOVA, m.allocPage());
    m.prepare(FIRST);
    const before = [m.info(FIRST), m.info(SECOND), m.group(FIRST)];
    for (const type of ['identity', 'dma', 'auto'] as const)
      expect(m.refusal({ kind: 'default-domain-set', bdf: SECOND, type })).toBe('EBUSY');
    expect([m.info(FIRST), m.info(SECOND), m.group(FIRST)]).toEqual(before);
    m.done(FIRST);
    expect(m.outcome(FIRST, IOVA)).toBe('performed');
  });

  it('10 attach and replace of a PASID are EBUSY group-wide, and the table is as before', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const [domain, other] = [m.allocDomain(), m.allocDomain()];
    m.call('ok', m.attachPasid(FIRST, 5, domain));
    m.prepare(FIRST);
    expect(m.refusal(m.attachPasid(FIRST, 6, domain))).toBe('EBUSY');
    expect(m.refusal(m.attachPasid(SECOND, 6, domain))).toBe('EBUSY');
    expect(m.refusal(m.attachPasid(FIRST, 5, other, true))).toBe('EBUSY');
    expect(m.info(SECOND).pasids).toMatchObject([{ pasid: 5, logicalDomain: { id: domain } }]);
  });

  it('10 argument errors come before EBUSY', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    m.prepare(FIRST);
    expect(m.refusal(m.attachPasid(FIRST, 0, m.allocDomain()))).toBe('EINVAL');
  });

  it('11 attaching the domain that is current is 0 and moves nothing', () => {
    const m = new CoreMachine();
    const domain = m.allocDomain();
    m.call('ok', m.attach(PROBE, domain));
    m.prepare(PROBE);
    const before = m.info(PROBE);
    m.call('ok', m.attach(PROBE, domain));
    expect(m.info(PROBE)).toEqual(before);
  });

  it('12 detach succeeds in the window: the sibling moves at once, the blocked device does not', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const domain = m.allocDomain();
    m.call('ok', m.attach(FIRST, domain));
    m.prepare(FIRST);
    m.call('ok', { kind: 'domain-detach', bdf: FIRST });
    const { defaultDomain } = m.group(FIRST);
    expect(m.group(FIRST).domain).toEqual(defaultDomain);
    expect(m.info(FIRST).physicalDomain).toMatchObject({ type: 'blocked' });
    expect(m.info(SECOND).physicalDomain).toEqual(defaultDomain);
  });
});

describe('13 to 15 what done restores', () => {
  it('13 done attaches the domain that is current then, not the one at prepare', () => {
    const m = new CoreMachine();
    const domain = m.allocDomain();
    m.call('ok', m.attach(PROBE, domain));
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    m.prepare(PROBE);
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    m.done(PROBE);
    expect(m.info(PROBE).physicalDomain).toEqual(m.group(PROBE).defaultDomain);
    expect(m.outcome(PROBE, IOVA)).toBe('not-present');
    expect(m.text(page, 1)).toBe('\0');
  });

  it('14 a PASID detached in the window is not restored, and no invalidation is sent for it', () => {
    const m = new CoreMachine();
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.call('ok', m.attachPasid(PROBE, 6, domain));
    m.prepare(PROBE);
    const sent = m.traced('invalidation-sent').length;
    m.call('ok', m.detachPasid(PROBE, 5));
    expect(m.traced('invalidation-sent')).toHaveLength(sent);
    m.done(PROBE);
    expect(m.traced('invalidation-sent')).toHaveLength(sent);
    expect(m.info(PROBE).pasids.map((one) => one.pasid)).toEqual([6]);
    expect(m.outcome(PROBE, IOVA, 'x', { pasid: 5 })).not.toBe('performed');
    expect(m.outcome(PROBE, IOVA, 'x', { pasid: 6 })).toBe('performed');
  });

  it.each(['strict', 'linux-7.1'] as const)('15 %s: no Invalidate Request is sent to a blocked device', (behaviour) => {
    const m = new CoreMachine({ behaviour, functions: SIBLINGS });
    for (let i = 0; i < 4; i++) m.map(FIRST, IOVA + i * 0x1000, m.allocPage());
    m.prepare(FIRST);
    const count = (at: typeof FIRST) => m.traced('invalidation-sent', at).length;
    const before = [count(FIRST), count(SECOND)];
    for (let i = 0; i < 4; i++) expect(m.startUnmap(FIRST, IOVA + i * 0x1000).reply).toMatchObject({ kind: 'unmap', bytes: 4096n });
    m.call('ok', { kind: 'domain-detach', bdf: FIRST });
    expect(count(FIRST)).toBe(before[0]);
    expect(count(SECOND)).toBe(before[1]! + 4);
  });
});

describe('25 a domain that done cannot attach', () => {
  it('25 strict: reported, counters balanced, and the function stays blocked until a reset succeeds', () => {
    const m = new CoreMachine();
    m.map(PROBE, IOVA, m.allocPage());
    m.prepare(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.done(PROBE).warning).toContain('could not be given back its domain');
    expect(m.info(PROBE)).toMatchObject({ blocked: true, resetDepth: 0, physicalDomain: { type: 'blocked' } });
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.outcome(PROBE, IOVA)).not.toBe('performed');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.info(PROBE)).toMatchObject({ blocked: false });
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('25 linux-7.1: reported, counters balanced, the flag is down and the hardware still blocks; only a different attach repairs', () => {
    const m = new CoreMachine({ behaviour: 'linux-7.1' });
    m.map(PROBE, IOVA, m.allocPage());
    m.prepare(PROBE);
    m.arm(PROBE, 'attach-fails');
    expect(m.done(PROBE).warning).not.toBe('');
    expect(m.info(PROBE)).toMatchObject({ blocked: false, resetDepth: 0, physicalDomain: { type: 'blocked' } });
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    const other = m.allocDomain();
    m.map({ domain: other }, IOVA, m.allocPage());
    m.call('ok', m.attach(PROBE, other));
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });
});

describe('28 and 43 to 46', () => {
  it('28 restoring PASIDs touches only the device that is restored', () => {
    const m = new CoreMachine({ behaviour: 'linux-7.1', functions: SIBLINGS });
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(FIRST, 5, domain));
    m.prepare(FIRST, 'a');
    m.prepare(SECOND, 'b');
    m.done(FIRST, 'a');
    expect(m.info(FIRST).pasids).toMatchObject([{ pasid: 5, physicalDomain: { id: domain } }]);
    expect(m.info(SECOND).pasids).toMatchObject([{ pasid: 5, physicalDomain: { type: 'blocked' } }]);
    expect(m.outcome(FIRST, IOVA, 'x', { pasid: 5 })).toBe('performed');
    expect(m.outcome(SECOND, IOVA, 'x', { pasid: 5 })).toBe('blocked-domain');
  });

  it('28 a function without PASIDs in a group that has some is given none', () => {
    const m = new CoreMachine({ functions: [probe(FIRST, { multiFunction: true }), probe(SECOND, { multiFunction: true, ats: false })] });
    const domain = m.allocDomain();
    m.call('ok', m.attachPasid(FIRST, 5, domain));
    m.prepare(SECOND);
    m.done(SECOND);
    expect(m.info(SECOND)).toMatchObject({ blocked: false, pasids: [{ pasid: 5, logicalDomain: { id: domain } }] });
    expect(m.info(SECOND).pasids.map((one) => one.physicalDomain)).toEqual([undefined]);
  });

  it('43 claim in the window is EBUSY; release in the window is 0', () => {
    const m = new CoreMachine();
    m.prepare(PROBE);
    expect(m.refusal({ kind: 'owner-claim', bdf: PROBE })).toBe('EBUSY');
    expect(m.group(PROBE).owned).toBe(false);
    m.done(PROBE);
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.prepare(PROBE);
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    expect(m.group(PROBE)).toMatchObject({ owned: false, domain: { type: 'paging' } });
    m.done(PROBE);
    expect(m.info(PROBE).physicalDomain).toEqual(m.group(PROBE).defaultDomain);
  });

  it('44 a default domain that the hardware refuses one member is not the default of any', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    m.map(FIRST, IOVA, m.allocPage());
    const before = [m.info(FIRST), m.info(SECOND), m.group(FIRST)];
    m.arm(SECOND, 'attach-fails');
    expect(m.refusal({ kind: 'default-domain-set', bdf: FIRST, type: 'identity' })).toBe('EIO');
    const armed = [m.info(FIRST), m.info(SECOND), m.group(FIRST)];
    expect(armed).toEqual(before);
    expect([m.outcome(FIRST, IOVA), m.outcome(SECOND, IOVA)]).toEqual(['performed', 'performed']);
  });

  it('44 a failed attach of several devices puts the earlier ones back', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const page = m.allocPage();
    m.map(FIRST, IOVA, page);
    const domain = m.allocDomain();
    m.arm(SECOND, 'attach-fails');
    expect(m.refusal(m.attach(FIRST, domain))).toBe('EIO');
    expect(m.group(FIRST).domain).toEqual(m.group(FIRST).defaultDomain);
    expect(m.info(FIRST).physicalDomain).toEqual(m.group(FIRST).defaultDomain);
    expect(m.outcome(FIRST, IOVA, 'first')).toBe('performed');
    expect(m.outcome(SECOND, IOVA + 8, 'second')).toBe('performed');
    expect(m.text(page, 14)).toBe('first\0\0\0second');
  });

  it('44 nothing stands in the way of putting them back', () => {
    const m = new CoreMachine({ functions: [...SIBLINGS] });
    const domain = m.allocDomain();
    // The first lets the attach through and refuses what comes after it; the second refuses the attach.
    m.arm(FIRST, 'attach-fails', { first: 2, count: 5 });
    m.arm(SECOND, 'attach-fails');
    expect(m.refusal(m.attach(FIRST, domain))).toBe('EIO');
    expect(m.info(FIRST).physicalDomain).toEqual(m.group(FIRST).domain);
  });

  it('12 a detach whose domain the hardware refuses parks the function on blocking, whatever else it would refuse', () => {
    const m = new CoreMachine();
    const domain = m.allocDomain();
    const page = m.allocPage();
    m.map({ domain }, IOVA, page);
    m.call('ok', m.attach(PROBE, domain));
    m.arm(PROBE, 'attach-fails', { count: 0 });
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.info(PROBE).physicalDomain).toMatchObject({ type: 'blocked' });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    expect(m.logs().some((line) => line.includes('parked on blocking'))).toBe(true);
  });

  it('10 attaching a PASID touches no quarantined function; its next successful reset gives it the PASID', () => {
    const m = new CoreMachine();
    m.arm(PROBE, 'never-ready');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'refused' });
    m.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'never-ready' });
    const domain = m.allocDomain();
    m.map({ domain }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    expect(m.info(PROBE)).toMatchObject({ blocked: true });
    expect(m.info(PROBE).pasids.map((entry) => entry.physicalDomain?.type)).not.toContain('paging');
    m.reset(PROBE);
    // The reset that failed could restore nothing.
    m.call('ok', { kind: 'region-write', bdf: PROBE, region: 7, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
    expect(m.outcome(PROBE, IOVA, 'x', { pasid: 5 })).toBe('performed');
  });

  it('45 an owned group rests on blocking, an unowned one on its default', () => {
    const m = new CoreMachine();
    m.map(PROBE, IOVA, m.allocPage());
    const domain = m.allocDomain();
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    expect(m.group(PROBE).domain).toMatchObject({ type: 'blocked' });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    m.call('ok', m.attach(PROBE, domain));
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.group(PROBE).domain).toMatchObject({ type: 'blocked' });
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    expect(m.group(PROBE).domain).toEqual(m.group(PROBE).defaultDomain);
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('46 a failed replace of a PASID keeps the old domain', () => {
    const m = new CoreMachine({ functions: SIBLINGS });
    const [old, next] = [m.allocDomain(), m.allocDomain()];
    m.map({ domain: old }, IOVA, m.allocPage());
    m.call('ok', m.attachPasid(FIRST, 5, old));
    m.arm(SECOND, 'attach-fails');
    expect(m.refusal(m.attachPasid(FIRST, 5, next, true))).toBe('EIO');
    for (const at of [FIRST, SECOND]) {
      expect(m.info(at).pasids).toMatchObject([{ pasid: 5, logicalDomain: { id: old }, physicalDomain: { id: old } }]);
      expect(m.outcome(at, IOVA, 'x', { pasid: 5 })).toBe('performed');
    }
  });

  it('PASID rules: 0 and too large EINVAL, occupied EBUSY, nothing to replace EINVAL, no capability EOPNOTSUPP', () => {
    const m = new CoreMachine({ functions: [probe(PROBE)] });
    const domain = m.allocDomain();
    expect(m.refusal(m.attachPasid(PROBE, 0, domain))).toBe('EINVAL');
    expect(m.refusal(m.attachPasid(PROBE, 5, domain, true))).toBe('EINVAL');
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    expect(m.refusal(m.attachPasid(PROBE, 5, domain))).toBe('EBUSY');
    expect(m.refusal(m.attachPasid(PROBE, 6, m.allocDomain('identity')))).toBe('EINVAL');
  });
});
