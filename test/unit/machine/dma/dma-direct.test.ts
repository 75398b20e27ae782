import { describe, expect, it } from 'vitest';
import { ACCESS, NO_PASID } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, type Options } from '../../../kit/core-machine.ts';

const TARGET = { bdf: PROBE, pasid: NO_PASID } as const;
const BYTES = 8192n;

const DIRECT: readonly (readonly [string, Options, string])[] = [
  ['a machine without an IOMMU', { iommu: false }, 'has no IOMMU'],
  ['an identity default domain', { defaultDomain: 'identity' }, 'has an identity domain'],
];

describe.each(DIRECT)('the DMA API of %s', (_name, options, why) => {
  it('answers physical addresses, and says so once', () => {
    const m = new CoreMachine(options);
    const address = m.allocPage();
    const map = { kind: 'map', target: TARGET, iova: undefined, address, bytes: BYTES, access: ACCESS.readWrite } as const;
    for (let i = 0; i < 3; i++) expect(m.call('mapped', map).iova).toBe(address);
    expect(m.logs().filter((text) => text.includes(why))).toHaveLength(1);
    expect(m.call('iova-to-phys', { kind: 'iova-to-phys', target: TARGET, iova: address + 5n })).toMatchObject({
      mapped: true,
      address: address + 5n,
    });
    expect(m.outcome(PROBE, Number(address), 'x')).toBe('performed');
    expect(m.call('unmap', { kind: 'unmap', target: TARGET, iova: address, bytes: BYTES })).toMatchObject({ bytes: 0n, timedOut: 0 });
    expect(m.outcome(PROBE, Number(address), 'y')).toBe('performed');
  });

  it('refuses what is no mapping, and another function is told apart', () => {
    const m = new CoreMachine(options);
    const map = { kind: 'map', target: TARGET, iova: undefined, address: m.allocPage(), bytes: BYTES, access: ACCESS.readWrite } as const;
    expect(m.refusal({ ...map, bytes: 5n })).toBe('EINVAL');
    expect(m.refusal({ ...map, access: 0 })).toBe('EINVAL');
    expect(m.logs()).toEqual([]);
  });
});

it('a domain that is attached in place of an identity default has mappings of its own', () => {
  const m = new CoreMachine({ defaultDomain: 'identity' });
  const domain = m.allocDomain();
  m.call('ok', m.attach(PROBE, domain));
  const page = m.allocPage();
  m.map(PROBE, 0x1_0000, page);
  expect(m.call('iova-to-phys', { kind: 'iova-to-phys', target: TARGET, iova: 0x1_0000n })).toMatchObject({ address: page });
  expect(m.call('unmap', { kind: 'unmap', target: TARGET, iova: 0x1_0000n, bytes: 4096n })).toMatchObject({ bytes: 4096n });
});
