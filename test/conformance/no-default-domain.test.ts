/** Invariant 24: a group whose default domain could not be allocated has no domain: a reset leaves it blocked, and nothing crashes. */
import { describe, expect, it } from 'vitest';
import type { Behaviour, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, PROBE, SECOND, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;
const NONE = { ...probe(PROBE), defaultDomain: 'none' } as const;
const SIBLINGS: readonly FunctionSpec[] = [
  { ...probe(FIRST, { multiFunction: true }), defaultDomain: 'none' },
  probe(SECOND, { multiFunction: true }),
];

function machine(behaviour: Behaviour, functions: readonly FunctionSpec[] = [NONE]): { m: CoreMachine; domain: number; page: bigint } {
  const m = new CoreMachine({ behaviour, functions });
  const domain = m.allocDomain();
  const page = m.allocPage();
  m.map({ domain }, IOVA, page);
  return { m, domain, page };
}

describe.each(['strict', 'linux-7.1'] as const)('%s: a group with no domain', (behaviour) => {
  it('24 is blocked from the start, and has nothing to be mapped in', () => {
    const { m, page } = machine(behaviour);
    expect(m.info(PROBE)).toMatchObject({ logicalDomain: undefined, physicalDomain: { type: 'blocked' }, blocked: false });
    expect(m.group(PROBE)).toMatchObject({ domain: undefined, defaultDomain: undefined });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    expect(() => m.map(PROBE, IOVA, page)).toThrow('00:02.0 has no domain');
    const withoutIova = { ...m.mapCommand(PROBE, 0, page), iova: undefined } as Parameters<CoreMachine['refusal']>[0];
    expect(m.refusal(withoutIova)).toBe('EOPNOTSUPP');
  });

  it('24 can be reset: done has no domain to give back, warns of nothing, and leaves it blocked', () => {
    const { m } = machine(behaviour);
    const before = m.info(PROBE);
    expect(m.prepare(PROBE)).toMatchObject({ depth: 1 });
    expect(m.info(PROBE)).toMatchObject({ blocked: true, logicalDomain: undefined, physicalDomain: { type: 'blocked' } });
    expect(m.done(PROBE)).toMatchObject({ depth: 0, warning: '' });
    expect(m.info(PROBE)).toEqual(before);
    expect(m.group(PROBE).recoveryCount).toBe(0);
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    expect(m.outcome(PROBE, IOVA, 'x', { translated: true })).toBe('ats-forbidden');
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'reset' });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
  });

  it('24 gets a domain by the first attach, which a window refuses and then restores', () => {
    const { m, domain, page } = machine(behaviour);
    m.prepare(PROBE);
    expect(m.refusal(m.attach(PROBE, domain))).toBe('EBUSY');
    m.done(PROBE);
    m.call('ok', m.attach(PROBE, domain));
    m.prepare(PROBE);
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'after')).toBe('performed');
    expect(m.text(page, 5)).toBe('after');
  });
});

describe.each(['strict', 'linux-7.1'] as const)('%s: a group with no domain, besides', (behaviour) => {
  it('24 whose owner lets it go stays blocked', () => {
    const { m } = machine(behaviour);
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    m.prepare(PROBE);
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    m.done(PROBE);
    expect(m.group(PROBE)).toMatchObject({ owned: false, domain: { type: 'blocked' } });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
  });

  it('24 has nothing to attach where its attach is deferred', () => {
    const { m, domain } = machine(behaviour, [{ ...NONE, deferAttach: true }]);
    m.call('ok', { kind: 'deferred-attach', bdf: PROBE });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    m.call('ok', m.attach(PROBE, domain));
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
  });

  it('24 has one for its PASIDs, and a window gives them back alone', () => {
    const { m, domain } = machine(behaviour);
    m.call('ok', m.attachPasid(PROBE, 5, domain));
    m.prepare(PROBE);
    expect(m.outcome(PROBE, IOVA, 'x', { pasid: 5 })).not.toBe('performed');
    m.done(PROBE);
    expect(m.outcome(PROBE, IOVA, 'x', { pasid: 5 })).toBe('performed');
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
  });

  it('24 whose first attach one member refuses has the others blocked again', () => {
    const { m, domain } = machine(behaviour, SIBLINGS);
    m.arm(SECOND, 'attach-fails');
    expect(m.refusal(m.attach(FIRST, domain))).toBe('EIO');
    for (const at of [FIRST, SECOND]) {
      expect(m.info(at)).toMatchObject({ logicalDomain: undefined, physicalDomain: { type: 'blocked' } });
      expect(m.outcome(at, IOVA)).toBe('blocked-domain');
    }
  });
});

describe('a group with no default domain', () => {
  it('24 strict: is blocked by a detach', () => {
    const { m, domain } = machine('strict');
    m.call('ok', m.attach(PROBE, domain));
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.outcome(PROBE, IOVA)).toBe('blocked-domain');
    m.call('ok', { kind: 'domain-free', domain });
  });

  it('24 linux-7.1: keeps its domain through a detach, which warns (__iommu_group_set_domain_nofail)', () => {
    const { m, domain } = machine('linux-7.1');
    m.call('ok', m.attach(PROBE, domain));
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.logs().join()).toContain('no default domain');
    expect(m.outcome(PROBE, IOVA)).toBe('performed');
    expect(m.refusal({ kind: 'domain-free', domain })).toBe('EBUSY');
  });
});
