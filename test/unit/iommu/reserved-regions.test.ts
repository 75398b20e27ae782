import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import {
  directAmong,
  mergeReserved,
  reservedName,
  reservedOf,
  type ReservedRegion,
} from '../../../server/src/core/iommu/reserved-regions.ts';

const AT = bdf(0, 0, 2, 0);

function region(type: ReservedRegion['type'], address: bigint, bytes: bigint): ReservedRegion {
  return { type, address, bytes };
}

describe('reserved regions', () => {
  it('are in the order of their starts, then of their types', () => {
    const regions = [region('sw-msi', 0x8000n, 0x1000n), region('msi', 0x4000n, 0x1000n), region('direct', 0x4000n, 0x2000n)];
    expect(mergeReserved(regions)).toEqual([regions[2], regions[1], regions[0]]);
  });

  it('of one type are one where they overlap, touch, or lie in each other', () => {
    const { length, 0: first } = mergeReserved([
      region('reserved', 0x3000n, 0x1000n),
      region('reserved', 0x1000n, 0x2000n),
      region('reserved', 0x1000n, 0x1000n),
      region('reserved', 0x3000n, 0x4000n),
    ]);
    expect([length, first]).toEqual([1, region('reserved', 0x1000n, 0x6000n)]);
  });

  it('of one type with a page between them stay two, and one of another type between them joins nothing', () => {
    const apart = [region('msi', 0x1000n, 0x1000n), region('msi', 0x3000n, 0x1000n)];
    expect(mergeReserved(apart)).toEqual(apart);
    const between = region('direct', 0x2000n, 0x1000n);
    expect(mergeReserved([...apart, between])).toEqual([apart[0], between, apart[1]]);
  });

  it('that touch across one of another type are one', () => {
    const merged = mergeReserved([region('msi', 0x1000n, 0x2000n), region('direct', 0x2000n, 0x1000n), region('msi', 0x3000n, 0x1000n)]);
    expect(merged).toEqual([region('msi', 0x1000n, 0x3000n), region('direct', 0x2000n, 0x1000n)]);
  });

  it('of a function have the interrupts of x86 and its direct regions among them', () => {
    const direct = [
      { address: 0x5000n, bytes: 0x1000n, relaxable: true },
      { address: 0x1000n, bytes: 0x1000n, relaxable: false },
    ];
    expect(reservedOf(AT, direct, [region('msi', 0xfef0_0000n, 0x1000n)])).toEqual([
      region('direct', 0x1000n, 0x1000n),
      region('direct-relaxable', 0x5000n, 0x1000n),
      region('msi', 0xfee0_0000n, 0x10_1000n),
    ]);
  });

  it.each([
    ['is misaligned', region('reserved', 0x1001n, 0x1000n)],
    ['has no whole pages', region('reserved', 0x1000n, 0x800n)],
    ['is empty', region('reserved', 0x1000n, 0n)],
    ['is beyond 56 bits', region('reserved', 1n << 56n, 0x1000n)],
    ['is of no type', { ...region('reserved', 0x1000n, 0x1000n), type: 'other' as 'msi' }],
  ])('one that %s is EINVAL naming it', (_what, bad) => {
    expect(() => reservedOf(AT, [], [bad])).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'reservedRegions' }) as Error);
  });

  it('that are direct are mapped 1:1, and both kinds of MSI have one name', () => {
    const regions = [region('direct', 0n, 0x1000n), region('direct-relaxable', 0x2000n, 0x1000n), region('reserved', 0x4000n, 0x1000n)];
    expect(directAmong(regions)).toEqual([
      { address: 0n, bytes: 0x1000n, relaxable: false },
      { address: 0x2000n, bytes: 0x1000n, relaxable: true },
    ]);
    expect((['direct', 'direct-relaxable', 'reserved', 'msi', 'sw-msi'] as const).map(reservedName)).toEqual([
      'direct',
      'direct-relaxable',
      'reserved',
      'msi',
      'msi',
    ]);
  });
});
