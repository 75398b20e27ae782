/** What of the I/O virtual addresses of a function is not to be given away (iommu_get_resv_regions). */
import { ModelError, PAGE_BYTES, PHYSICAL_BITS, formatBdf, hex, type Bdf } from '../base/index.ts';
import type { DirectRegion } from './direct-regions.ts';

/** enum iommu_resv_type, in its order. */
export const RESERVED_TYPES = ['direct', 'direct-relaxable', 'reserved', 'msi', 'sw-msi'] as const;
export type ReservedType = (typeof RESERVED_TYPES)[number];

export interface ReservedRegion {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly type: ReservedType;
}

/** What an x86 IOMMU takes as interrupts (`intel_iommu_get_resv_regions`), and where Linux maps doorbells behind another (MSI_IOVA_BASE of `arm-smmu.c`). */
export const INTERRUPT_REGION = {
  x86: { address: 0xfee0_0000n, bytes: 0x10_0000n, type: 'msi' },
  translated: { address: 0x800_0000n, bytes: 0x10_0000n, type: 'sw-msi' },
} as const satisfies Record<string, ReservedRegion>;
const PAGE = BigInt(PAGE_BYTES);

/** A function's, merged: what it was given, its direct regions, and what its interrupts need. EINVAL names one that cannot be. */
export function reservedOf(
  bdf: Bdf,
  direct: readonly DirectRegion[],
  given: readonly ReservedRegion[],
  interrupts: ReservedRegion = INTERRUPT_REGION.x86,
): readonly ReservedRegion[] {
  const asReserved = direct.map(({ address, bytes, relaxable }): ReservedRegion => ({
    address,
    bytes,
    type: relaxable ? 'direct-relaxable' : 'direct',
  }));
  return mergeReserved([...given.map((region) => checked(bdf, region)), ...asReserved, interrupts]);
}

/** iommu_insert_resv_region(): by start, then by type; those of one type that overlap or touch are one. */
export function mergeReserved(regions: readonly ReservedRegion[]): readonly ReservedRegion[] {
  const order = regions.toSorted((a, b) => (a.address === b.address ? rank(a) - rank(b) : a.address < b.address ? -1 : 1));
  const merged: ReservedRegion[] = [];
  for (const region of order) {
    const at = merged.findLastIndex((other) => other.type === region.type);
    const last = merged[at];
    if (last === undefined || region.address > endOf(last)) merged.push(region);
    else if (endOf(region) > endOf(last)) merged[at] = { ...last, bytes: endOf(region) - last.address };
  }
  return merged;
}

/** Its name in sysfs, where both kinds of MSI have one. */
export function reservedName(type: ReservedType): Exclude<ReservedType, 'sw-msi'> {
  return type === 'sw-msi' ? 'msi' : type;
}

/** Those that are mapped 1:1. */
export function directAmong(regions: readonly ReservedRegion[]): readonly DirectRegion[] {
  return regions.flatMap(({ address, bytes, type }) =>
    type === 'direct' || type === 'direct-relaxable' ? [{ address, bytes, relaxable: type === 'direct-relaxable' }] : [],
  );
}

function rank({ type }: ReservedRegion): number {
  return RESERVED_TYPES.indexOf(type);
}

function endOf({ address, bytes }: ReservedRegion): bigint {
  return address + bytes;
}

function checked(bdf: Bdf, region: ReservedRegion): ReservedRegion {
  const { address, bytes, type } = region;
  const fits = address >= 0n && bytes > 0n && address % PAGE === 0n && bytes % PAGE === 0n && endOf(region) >> BigInt(PHYSICAL_BITS) === 0n;
  if (fits && RESERVED_TYPES.includes(type)) return region;
  const text = `the reserved region ${hex(address)}+${hex(bytes)} (${String(type)}) of ${formatBdf(bdf)} cannot be`;
  throw new ModelError('EINVAL', `${text}: address and size are multiples of 4 KiB below 2^${PHYSICAL_BITS}`, 'reservedRegions');
}
