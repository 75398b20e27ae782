/**
 * The translation agent's page request queue (PCIe §10.4; VT-d's Page Request Queue, RISC-V's PQ): what functions have requested and software has
 * not taken yet. It is bounded. A request that finds it full sets its overflow state, in which nothing is taken in until software has looked: a
 * last request is answered Success, so that its function asks again, and others are dropped without a word.
 */
import { ACCESS, NO_PASID } from '../base/index.ts';
import type { Bdf, PageResponseCode, Pasid, StateFields, Trace } from '../base/index.ts';

/** A Page Request message. Numbers of pages are IOVA page numbers. */
export interface PageRequest {
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  /** Page Request Group index: 0 to 511. */
  readonly group: number;
  /** The function's own number of the group, which no two groups share: by it an answer to a group that was forgotten is known. */
  readonly serial: number;
  readonly page: number;
  /** ACCESS bits. None, with `last` and a PASID: a Stop Marker. */
  readonly access: number;
  /** Privileged Mode Requested. */
  readonly privileged: boolean;
  readonly last: boolean;
}

/** The function has stopped using the PASID, and every request for it has been sent before this. It gets no answer. */
export function isStopMarker({ pasid, access, last }: PageRequest): boolean {
  return last && access === ACCESS.none && pasid !== NO_PASID;
}

/** Entries of a queue that nobody has sized: one page of VT-d's 32-byte descriptors. */
export const PAGE_REQUEST_QUEUE_ENTRIES = 128;

const DROPPED = { full: 0, refused: 1 } as const;

export class PageRequestQueue {
  readonly #trace: Trace;
  readonly #entriesMax: number;
  #requests: PageRequest[] = [];
  #overflowed = false;

  constructor(trace: Trace, entriesMax: number) {
    this.#trace = trace;
    this.#entriesMax = entriesMax;
  }

  /**
   * A message arrives. Returns what the translation agent answers on its own, or undefined: the request waits for software, or gets no answer.
   * `allowed`: page requests of this context are honoured; others are answered Invalid Request.
   */
  receive(request: PageRequest, allowed: boolean): PageResponseCode | undefined {
    if (!allowed) return this.#drop(request, 'refused', 'invalid');
    this.#overflowed ||= this.#requests.length >= this.#entriesMax;
    if (this.#overflowed) return this.#drop(request, 'full', 'success');
    this.#requests.push(request);
    return undefined;
  }

  /** Software takes everything, oldest first, and ends the overflow state. `overflowed`: requests were dropped since it last looked. */
  take(): { readonly requests: readonly PageRequest[]; readonly overflowed: boolean } {
    const taken = { requests: this.#requests, overflowed: this.#overflowed };
    if (this.#requests.length > 0) this.#requests = [];
    this.#overflowed = false;
    return taken;
  }

  state(fields: StateFields): void {
    this.#requests = fields.field('requests', this.#requests);
    this.#overflowed = fields.field('overflowed', this.#overflowed);
  }

  #drop(request: PageRequest, why: keyof typeof DROPPED, answer: PageResponseCode): PageResponseCode | undefined {
    this.#trace.emit('page-request-dropped', request.bdf, request.group, request.page, DROPPED[why]);
    return request.last && !isStopMarker(request) ? answer : undefined;
  }
}
