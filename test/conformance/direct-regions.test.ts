/** Invariant 22: a function whose memory firmware asked to be mapped 1:1 can be reset, and cannot be blocked by anybody else. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { Behaviour, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, PROBE, RAM, SECOND, probe } from '../kit/core-machine.ts';

const REGION = RAM + 0x8_0000n;
const BYTES = 0x4000n;

function withRegion(relaxable = false, at = PROBE): FunctionSpec {
  const multiFunction = at !== PROBE;
  return { ...probe(at, { multiFunction }), directRegions: [{ address: REGION, bytes: BYTES, relaxable }] };
}
const machine = (behaviour: Behaviour, relaxable = false): CoreMachine =>
  new CoreMachine({ behaviour, functions: [withRegion(relaxable)] });
const at = Number(REGION);

describe.each(['strict', 'linux-7.1'] as const)('%s: a function with a direct region', (behaviour) => {
  it('22 has it mapped 1:1 in its default domain, and says so', () => {
    const m = machine(behaviour);
    expect(m.info(PROBE).directRegions).toEqual([{ address: REGION, bytes: BYTES, relaxable: false }]);
    expect(m.outcome(PROBE, at, 'direct')).toBe('performed');
    expect(m.text(REGION, 6)).toBe('direct');
    expect(m.outcome(PROBE, at + Number(BYTES) - 4, 'last')).toBe('performed');
    expect(m.outcome(PROBE, at + Number(BYTES), 'over')).toBe('not-present');
  });

  it('22 can be reset: blocked in the window, and served after it', () => {
    const m = machine(behaviour);
    m.prepare(PROBE);
    expect(m.info(PROBE)).toMatchObject({ blocked: true, physicalDomain: { type: 'blocked' } });
    expect(m.outcome(PROBE, at, 'inside')).not.toBe('performed');
    expect(m.text(REGION, 6)).not.toBe('inside');
    m.done(PROBE);
    expect(m.outcome(PROBE, at, 'after!')).toBe('performed');
    expect(m.text(REGION, 6)).toBe('after!');
  });

  it('22 cannot be claimed, nor attached to a blocked domain; nothing is changed', () => {
    const m = machine(behaviour);
    const before = m.info(PROBE);
    expect(m.refusal({ kind: 'owner-claim', bdf: PROBE })).toBe('EINVAL');
    const blocked = m.call('domain-alloc', { kind: 'domain-alloc', type: 'blocked', sharedAddress: false }).domain;
    expect(m.refusal({ kind: 'domain-attach', bdf: PROBE, domain: blocked })).toBe('EINVAL');
    expect(m.info(PROBE)).toEqual(before);
    expect(m.group(PROBE).owned).toBe(false);
    expect(m.outcome(PROBE, at, 'still')).toBe('performed');
  });

  it('22 in a window EBUSY comes first', () => {
    const m = machine(behaviour);
    m.prepare(PROBE);
    expect(m.refusal({ kind: 'owner-claim', bdf: PROBE })).toBe('EBUSY');
  });

  it('22 may be attached to another paging domain, which has no direct mapping of its own', () => {
    const m = machine(behaviour);
    m.call('ok', { kind: 'domain-attach', bdf: PROBE, domain: m.allocDomain() });
    expect(m.outcome(PROBE, at, 'x')).toBe('not-present');
    m.call('ok', { kind: 'domain-detach', bdf: PROBE });
    expect(m.outcome(PROBE, at, 'x')).toBe('performed');
  });

  it('22 that is relaxable can be claimed', () => {
    const m = machine(behaviour, true);
    expect(m.outcome(PROBE, at, 'direct')).toBe('performed');
    m.call('ok', { kind: 'owner-claim', bdf: PROBE });
    expect(m.outcome(PROBE, at, 'owned')).toBe('blocked-domain');
    m.call('ok', { kind: 'owner-release', bdf: PROBE });
    expect(m.outcome(PROBE, at, 'given')).toBe('performed');
  });

  it('22 keeps its siblings from being blocked too', () => {
    const m = new CoreMachine({ behaviour, functions: [probe(FIRST, { multiFunction: true }), withRegion(false, SECOND)] });
    expect(m.refusal({ kind: 'owner-claim', bdf: FIRST })).toBe('EINVAL');
    m.prepare(FIRST);
    expect(m.outcome(SECOND, at, 'goes on')).toBe('performed');
    m.done(FIRST);
  });
});

describe('direct regions', () => {
  it('22 of one group may overlap', () => {
    const second = {
      ...probe(SECOND, { multiFunction: true }),
      directRegions: [{ address: REGION - 0x1000n, bytes: 0x3000n, relaxable: false }],
    };
    const m = new CoreMachine({ functions: [withRegion(false, FIRST), second] });
    for (const page of [-0x1000, 0, 0x1000, 0x2000, 0x3000]) expect(m.outcome(SECOND, at + page, 'x')).toBe('performed');
  });

  it('22 of one group may overlap over terabytes, at once', () => {
    const huge = { address: 1n << 40n, bytes: 1n << 45n, relaxable: false };
    const first = { ...probe(FIRST, { multiFunction: true }), directRegions: [{ ...huge, bytes: huge.bytes - 0x1000n }] };
    const second = { ...probe(SECOND, { multiFunction: true }), directRegions: [{ ...huge, address: huge.address + 0x1000n }] };
    const m = new CoreMachine({ functions: [first, second] });
    const mapped = (iova: bigint) => m.call('iova-to-phys', { kind: 'iova-to-phys', target: { bdf: FIRST, pasid: NO_PASID }, iova });
    for (const iova of [huge.address, huge.address + 0x1000n, huge.address + huge.bytes]) {
      expect(mapped(iova)).toMatchObject({ mapped: true, address: iova });
    }
    expect(mapped(huge.address + huge.bytes + 0x1000n).mapped).toBe(false);
  });

  it.each([
    ['a misaligned address', 0x1001n, 0x1000n],
    ['a misaligned size', 0x1000n, 0x1001n],
    ['no bytes', 0x1000n, 0n],
    ['48 bits', 1n << 47n, 0x1000n],
  ])('with %s make no machine', (_name, address, bytes) => {
    const functions = [{ ...probe(PROBE), directRegions: [{ address, bytes, relaxable: false }] }];
    expect(() => new CoreMachine({ functions })).toThrow(/the direct region .* of 00:02.0 cannot be mapped: /);
  });
});
