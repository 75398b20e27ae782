/** What a default domain has besides its tables: the addresses that the DMA API maps at (struct iommu_dma_cookie). */
import { PAGE_BYTES, pageOf } from '../base/index.ts';
import { emptyQueue, type FlushQueue } from './flush-queue.ts';
import { IovaSpace } from './iova.ts';
import type { ReservedRegion } from './reserved-regions.ts';

export interface DmaDomain {
  readonly iova: IovaSpace;
  /** IOMMU_DOMAIN_DMA_FQ: what is unmapped is flushed later, many addresses at once. */
  lazy: boolean;
  readonly queue: FlushQueue;
}

/** Memory below the host bridge: a request there goes to a function's BAR, and not through the IOMMU. */
export interface HostWindow {
  readonly address: bigint;
  readonly bytes: bigint;
}

/** Where the lower half of four-level x86-64 addresses ends. */
const END_PAGE = 2 ** 35;

/** iommu_dma_init_domain() for all members of a group: without their reserved regions, and without what is below the host bridge. */
export function dmaDomain(lazy: boolean, regions: readonly ReservedRegion[], windows: readonly HostWindow[]): DmaDomain {
  const iova = new IovaSpace(END_PAGE);
  // A software MSI region is ours to manage (iova_reserve_iommu_regions).
  const kept = [...regions.filter(({ type }) => type !== 'sw-msi'), ...windows];
  for (const { address, bytes } of kept) iova.reserve(pageOf(address), pageOf(address + bytes + BigInt(PAGE_BYTES) - 1n));
  return { iova, lazy, queue: emptyQueue() };
}
