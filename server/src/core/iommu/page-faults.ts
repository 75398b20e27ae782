/**
 * I/O page faults as in `drivers/iommu/io-pgfault.c`: page requests that are not the last of their group are parked, the last builds the group, and
 * each group is answered once. Pure state: sending the answers is the machine's.
 */
import type { Bdf, Pasid, StateFields } from '../base/index.ts';
import { isStopMarker, type PageRequest } from '../translation/index.ts';
import type { Domain } from './group.ts';

/** struct iopf_group: it waits for its one answer. */
export interface PageFaultGroup {
  /** The cookie of iommufd's fault queue: counts from 1 in this machine. */
  readonly number: number;
  readonly timeNs: number;
  /** What it is to be mended in. */
  readonly domain: Domain;
  /** In the order in which they came; the last one is last. */
  readonly requests: readonly PageRequest[];
  /** Its last request: whom the answer goes to. */
  readonly last: PageRequest;
}

export type PageFaultReport =
  /** Not the last of its group, or a Stop Marker: nobody is answered. */
  | { readonly kind: 'none' }
  | { readonly kind: 'group'; readonly group: PageFaultGroup }
  /** No handler takes it: the domain is not fault-capable, or too many groups wait. Its group is answered Invalid Request. */
  | { readonly kind: 'refused' };

/** Groups that wait for an answer in one machine: a function has at most 512, and forgets them when it is reset, which this does not. */
export const PAGE_FAULTS_MAX = 4096;
/** Parked requests of one function: what a function may have outstanding; resets leave others behind. */
export const PARKED_MAX = 512;

export class PageFaults {
  readonly #parked = new Map<Bdf, PageRequest[]>();
  readonly #groups = new Map<number, PageFaultGroup>();
  readonly #now: () => number;
  #lastNumber = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** iommu_report_device_fault(). `domain`: what the function, or this PASID of it, has attached. */
  report(request: PageRequest, domain: Domain | undefined): PageFaultReport {
    if (isStopMarker(request)) {
      this.#unpark(request.bdf, ({ pasid }) => pasid === request.pasid);
      return { kind: 'none' };
    }
    if (domain?.faults !== true) {
      if (!request.last) return { kind: 'none' };
      this.#partsOf(request);
      return { kind: 'refused' };
    }
    if (!request.last) {
      this.#park(request);
      return { kind: 'none' };
    }
    const requests = [...this.#partsOf(request), request];
    if (this.#groups.size >= PAGE_FAULTS_MAX) return { kind: 'refused' };
    const group = { number: ++this.#lastNumber, timeNs: this.#now(), domain, requests, last: request };
    this.#groups.set(group.number, group);
    return { kind: 'group', group };
  }

  /** Takes the group that is being answered; undefined where none with this number is pending, which is EINVAL. */
  answer(number: number): PageFaultGroup | undefined {
    const group = this.#groups.get(number);
    this.#groups.delete(number);
    return group;
  }

  /**
   * Takes every group of the function that `gone` picks, by its domain and PASID, and drops what is parked of such: their domain was detached, or the
   * function is leaving (iopf_queue_remove_device). The caller answers them Invalid Request.
   */
  takeGone(bdf: Bdf, gone: (pasid: Pasid, domain: Domain | undefined) => boolean): readonly PageFaultGroup[] {
    this.#unpark(bdf, ({ pasid }) => gone(pasid, undefined));
    const taken = [...this.#groups.values()].filter(({ last, domain }) => last.bdf === bdf && gone(last.pasid, domain));
    for (const { number } of taken) this.#groups.delete(number);
    return taken;
  }

  /** iopf_queue_discard_partial(): after an overflow the last request of any group may be among those that were dropped. */
  discardPartial(): number {
    let discarded = 0;
    for (const parked of this.#parked.values()) discarded += parked.length;
    this.#parked.clear();
    return discarded;
  }

  /** Oldest first. */
  pending(): IterableIterator<PageFaultGroup> {
    return this.#groups.values();
  }

  state(fields: StateFields): void {
    fields.keep('parked', this.#parked);
    fields.keep('groups', this.#groups);
    this.#lastNumber = fields.field('lastNumber', this.#lastNumber);
  }

  #park(request: PageRequest): void {
    const parked = this.#parked.get(request.bdf) ?? [];
    this.#parked.set(request.bdf, parked);
    if (parked.length >= PARKED_MAX) parked.shift();
    parked.push(request);
  }

  /** Takes the parked requests of the same group. */
  #partsOf({ bdf, group, pasid }: PageRequest): readonly PageRequest[] {
    const ofGroup = (other: PageRequest): boolean => other.group === group && other.pasid === pasid;
    const parts = this.#parked.get(bdf)?.filter(ofGroup) ?? [];
    if (parts.length > 0) this.#unpark(bdf, ofGroup);
    return parts;
  }

  #unpark(bdf: Bdf, drop: (request: PageRequest) => boolean): void {
    const parked = this.#parked.get(bdf);
    if (parked === undefined) return;
    const kept = parked.filter((request) => !drop(request));
    if (kept.length === 0) this.#parked.delete(bdf);
    else this.#parked.set(bdf, kept);
  }
}
