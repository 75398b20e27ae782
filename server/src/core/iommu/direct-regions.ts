import { ACCESS, ModelError, OK, PAGE_BYTES, errorName, formatBdf, hex, type Bdf } from '../base/index.ts';
import type { PageTables } from '../translation/index.ts';

/** IOMMU_RESV_DIRECT, or IOMMU_RESV_DIRECT_RELAXABLE where the function can do without it once its driver runs. */
export interface DirectRegion {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly relaxable: boolean;
}

interface Claimant {
  readonly bdf: Bdf;
  readonly directRegions: readonly DirectRegion[];
}

const PAGE = BigInt(PAGE_BYTES);
/** Where the lower half of the default domain's addresses ends. */
const END = 1n << 47n;

/** iommu_create_device_direct_mappings() of a whole group: 1:1, readable and writable. EINVAL names a region that cannot be; ENOMEM. */
export function mapDirect(tables: PageTables, claimants: readonly Claimant[]): void {
  for (const { address, end } of merged(claimants)) {
    const error = tables.map(address, address, end - address, ACCESS.readWrite);
    if (error !== OK)
      throw new ModelError(errorName(error), `no room to map direct regions ${hex(address)} to ${hex(end)}`, 'directRegions');
  }
}

/** Regions of one group that overlap or touch are one. */
function merged(claimants: readonly Claimant[]): readonly { readonly address: bigint; readonly end: bigint }[] {
  const regions = claimants.flatMap(({ bdf, directRegions }) => directRegions.map((region) => checked(bdf, region)));
  regions.sort((a, b) => (a.address < b.address ? -1 : 1));
  const ranges: { address: bigint; end: bigint }[] = [];
  for (const { address, bytes } of regions) {
    const end = address + bytes;
    const last = ranges.at(-1);
    if (last === undefined || address > last.end) ranges.push({ address, end });
    else if (end > last.end) last.end = end;
  }
  return ranges;
}

function checked(bdf: Bdf, region: DirectRegion): DirectRegion {
  const { address, bytes } = region;
  if (address >= 0n && bytes > 0n && address % PAGE === 0n && bytes % PAGE === 0n && address + bytes <= END) return region;
  const text = `the direct region ${hex(address)}+${hex(bytes)} of ${formatBdf(bdf)} cannot be mapped`;
  throw new ModelError('EINVAL', `${text}: address and size are multiples of 4 KiB and fit 47 bits`, 'directRegions');
}
