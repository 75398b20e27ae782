/** What a machine knows of page requests: messages on their way, the translation agent's queue, the groups that wait for a host. */
import type { Bdf, Trace } from '../../base/index.ts';
import { PageFaults } from '../../iommu/index.ts';
import { PAGE_REQUEST_QUEUE_ENTRIES, PageRequestQueue, type PageRequest } from '../../translation/index.ts';
import type { IommuSpec } from '../spec.ts';

export interface PageRequestState {
  readonly queue: PageRequestQueue;
  readonly faults: PageFaults;
  /** Messages that stand behind posted writes of their function, by the number of their ledger entry. */
  readonly inLedger: Map<number, PageRequest>;
  /** Messages that the translation agent has before it, in the order of their coming. */
  readonly arrived: PageRequest[];
  /** Operations that wait until their function has room for another page request, in their order. */
  readonly waiting: Map<Bdf, number[]>;
  /** Functions of which the IOMMU core has enabled the Page Request Interface. */
  readonly enabled: Set<Bdf>;
}

export function newPageRequestState(trace: Trace, now: () => number, spec: IommuSpec | undefined): PageRequestState {
  return {
    queue: new PageRequestQueue(trace, spec?.pageRequestQueue ?? PAGE_REQUEST_QUEUE_ENTRIES),
    faults: new PageFaults(now),
    inLedger: new Map(),
    arrived: [],
    waiting: new Map(),
    enabled: new Set(),
  };
}
