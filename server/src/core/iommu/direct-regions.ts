import { ACCESS, ModelError, OK, PAGE_BYTES, errno, errorName, formatBdf, hex, type Bdf } from '../base/index.ts';
import type { PageTables } from '../translation/index.ts';

/** IOMMU_RESV_DIRECT, or IOMMU_RESV_DIRECT_RELAXABLE where the function can do without it once its driver runs. */
export interface DirectRegion {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly relaxable: boolean;
}

const PAGE = BigInt(PAGE_BYTES);

/** iommu_create_device_direct_mappings(): 1:1, readable and writable; what is mapped already stays. EINVAL names the region. */
export function mapDirect(bdf: Bdf, tables: PageTables, regions: readonly DirectRegion[]): void {
  for (const { address, bytes } of regions) {
    let error = tables.map(address, address, bytes, ACCESS.readWrite);
    if (error === errno('EADDRINUSE')) error = mapHoles(tables, address, bytes);
    if (error === OK) continue;
    const text = `the direct region ${hex(address)}+${hex(bytes)} of ${formatBdf(bdf)} cannot be mapped (${errorName(error)})`;
    throw new ModelError('EINVAL', `${text}: address and size are multiples of 4 KiB and fit 48 bits`, 'directRegions');
  }
}

/** Regions of one group may overlap. */
function mapHoles(tables: PageTables, address: bigint, bytes: bigint): number {
  for (let at = address; at < address + bytes; at += PAGE) {
    if (tables.lookup(at) !== undefined) continue;
    const error = tables.map(at, at, PAGE, ACCESS.readWrite);
    if (error !== OK) return error;
  }
  return OK;
}
