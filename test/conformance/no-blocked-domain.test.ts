/** Invariant 23: where the IOMMU's driver has no blocked domain, an empty paging domain serves, and DMA cannot tell. */
import { describe, expect, it } from 'vitest';
import type { Behaviour } from '../../server/src/core/machine/index.ts';
import { CoreMachine, PROBE, RAM, probe } from '../kit/core-machine.ts';

const IOVA = 0x1_0000;

function machine(behaviour: Behaviour): { m: CoreMachine; page: bigint } {
  const m = new CoreMachine({ behaviour, blockedDomain: false });
  const page = m.allocPage();
  m.map(PROBE, IOVA, page);
  return { m, page };
}
const translate = { operation: 'translate', bytes: 1, data: undefined } as const;

describe.each(['strict', 'linux-7.1'] as const)('%s: without a blocked domain', (behaviour) => {
  it('23 the window puts the function on a paging domain that nothing is mapped in', () => {
    const { m, page } = machine(behaviour);
    const { logicalDomain } = m.info(PROBE);
    expect(m.outcome(PROBE, IOVA, 'before', { translated: true })).toBe('performed');
    m.prepare(PROBE);
    const inside = m.info(PROBE);
    expect(inside).toMatchObject({ logicalDomain, physicalDomain: { type: 'paging' }, blocked: true, atsEnabled: false });
    expect(inside.physicalDomain?.id).not.toBe(logicalDomain?.id);
    expect(m.outcome(PROBE, IOVA, 'inside')).toBe(behaviour === 'strict' ? 'gate-closed' : 'not-present');
    expect(m.outcome(PROBE, Number(page), 'inside')).not.toBe('performed');
    expect(m.outcome(PROBE, IOVA, 'inside', { translated: true })).toBe(behaviour === 'strict' ? 'gate-closed' : 'ats-forbidden');
    expect(m.outcome(PROBE, IOVA, '', translate)).toBe(behaviour === 'strict' ? 'gate-closed' : 'ats-forbidden');
    expect(m.text(page, 6)).toBe('before');
    m.done(PROBE);
    expect(m.info(PROBE)).toMatchObject({ physicalDomain: logicalDomain, blocked: false, atsEnabled: true });
    expect(m.outcome(PROBE, IOVA, 'after!', { translated: true })).toBe('performed');
    expect(m.text(page, 6)).toBe('after!');
  });

  it('23 an owned group rests on it: no DMA, no ATS', () => {
    const { m, page } = machine(behaviour);
    m.outcome(PROBE, IOVA, 'before', { translated: true });
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    expect(m.info(PROBE)).toMatchObject({ physicalDomain: { type: 'paging' }, atsEnabled: false });
    expect(m.outcome(PROBE, IOVA, 'owned')).toBe('not-present');
    for (const fields of [translate, { translated: true }]) expect(m.outcome(PROBE, IOVA, 'owned', fields)).toBe('ats-forbidden');
    expect(m.text(page, 6)).toBe('before');
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    expect(m.outcome(PROBE, IOVA, 'after!', { translated: true })).toBe('performed');
  });

  it('23 a reset of an owned group moves nothing, and opens nothing', () => {
    const { m } = machine(behaviour);
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    const before = m.info(PROBE);
    expect(m.prepare(PROBE)).toMatchObject({ depth: 1, completed: 0 });
    m.done(PROBE);
    expect(m.info(PROBE)).toEqual(before);
    expect(m.outcome(PROBE, IOVA, 'owned')).toBe('not-present');
  });

  it('23 nobody may put anything into it, nor be attached to it', () => {
    const { m, page } = machine(behaviour);
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    const { id } = m.info(PROBE).physicalDomain!;
    for (const command of [m.mapCommand({ domain: id }, IOVA, page), m.attach(PROBE, id)]) {
      expect(() => m.start(command).reply, command.kind).toThrow(`no domain ${id}`);
    }
    expect(m.refusal({ kind: 'domain-free', domain: id })).toBe('ENOENT');
    expect(m.outcome(PROBE, IOVA, 'owned')).toBe('not-present');
  });

  it('23 has no PASIDs, which could not be blocked, and no blocked domain for a host', () => {
    const { m } = machine(behaviour);
    expect(m.refusal(m.attachPasid(PROBE, 5, m.allocDomain()))).toBe('EOPNOTSUPP');
    expect(m.refusal({ kind: 'domain-alloc', type: 'blocked', sharedAddress: false })).toBe('EOPNOTSUPP');
    expect(m.info(PROBE).pasids).toEqual([]);
  });

  it('23 is still blocking: what has a direct region can be reset, and not be claimed', () => {
    const directRegions = [{ address: RAM, bytes: 0x1000n, relaxable: false }];
    const m = new CoreMachine({ behaviour, blockedDomain: false, functions: [{ ...probe(PROBE), directRegions }] });
    expect(m.refusal({ kind: 'owner-claim', bdf: PROBE })).toBe('EINVAL');
    m.prepare(PROBE);
    expect(m.outcome(PROBE, Number(RAM), 'inside')).not.toBe('performed');
    m.done(PROBE);
    expect(m.outcome(PROBE, Number(RAM), 'after')).toBe('performed');
  });
});
