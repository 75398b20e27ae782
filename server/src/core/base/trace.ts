/**
 * The trace port: a decision point says what it did as four integers; sinks outside core make objects of them.
 * Nothing is emitted per page on the fast path.
 */

/** Every trace record's name, with what its four integers mean. `bdf` is a packed function address. */
export const TRACE_KINDS = [
  'config-write', // bdf, offset, value, bytes
  'dma-issued', // bdf, request, page, bytes
  'dma-held', // bdf, request, point index, at
  'dma-released', // bdf, request, point index, 0
  'dma-translated', // bdf, request, physical page, 0
  'dma-sent', // bdf, request, owner, epoch
  'dma-performed', // bdf, request, physical page, bytes
  'dma-completed', // bdf, request, outcome index, bytes
  'dma-aborted', // bdf, request, point index, indeterminate
  'late-answer', // bdf, request, entry epoch, current epoch
  'fault', // bdf, cause index, page, access
  'stale-atc', // bdf, request, physical page, performed
  'ats-granted', // bdf, page, physical page, access
  'ats-dropped', // bdf, page, entries dropped, 0
  'invalidation-sent', // bdf, itag, page, pages (0: everything)
  'invalidation-ignored', // bdf, itag, 0, 0
  'invalidation-answered', // bdf, itag, completions so far, completions expected
  'invalidation-completed', // bdf, itag, 0, 0
  'invalidation-timeout', // bdf, itag, 0, 0
  'invalidation-late', // bdf, itag, 0, 0
  'mapped', // domain, page, physical page, pages
  'unmapped', // domain, page, pages, timed out
  'iotlb-invalidated', // address space, page, pages (0: everything), 0
  'context-set', // bdf, pasid, address space, blocked
  'ats-enable', // bdf, on, 0, 0
  'gate', // bdf, open, 0, 0
  'prepare', // bdf, phase index, depth, count
  'done', // bdf, depth, domain, error
  'drained', // bdf, drained, aborted, indeterminate
  'reset-step', // bdf, step index, method index, 0
  'function-reset', // bdf, method index, 0, 0
  'function-ready', // bdf, 0, 0, 0
  'interrupt', // bdf, vector, data, 0
  'interrupt-pending', // bdf, vector, 0, 0
  'interrupt-dropped', // bdf, vector, 0, 0
  'intx', // bdf, asserted, device on the root bus, pin there
  'warning', // bdf, warning index, 0, 0
  'page-request', // bdf, group, page, ACCESS bits and 8 last
  'page-request-dropped', // bdf, group, page, 0 the queue is full, 1 refused
  'stop-marker', // bdf, pasid, 0, 0
  'page-fault', // bdf, fault, group, page requests
  'page-response', // bdf, group, PAGE_ANSWERS index, page requests still outstanding
  'link', // bdf, up, 0, 0
  'page-response-late', // bdf, group, PAGE_ANSWERS index, 0
  'bus-reset', // bdf of the bridge, on, 0, 0
  'bus-error', // bdf, AER bit, 0 correctable 1 non-fatal 2 fatal, message sent
] as const;
export type TraceKind = (typeof TRACE_KINDS)[number];

export interface TraceRecord {
  readonly kind: TraceKind;
  readonly timeNs: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

export type TraceSink = (record: TraceRecord) => void;

/** Emits nothing, at the cost of one test, while no sink is listening. */
export class Trace {
  #sinks: readonly TraceSink[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get on(): boolean {
    return this.#sinks.length > 0;
  }

  /** Adds a listener; the returned function takes it away. */
  listen(sink: TraceSink): () => void {
    this.#sinks = [...this.#sinks, sink];
    return () => {
      this.#sinks = this.#sinks.filter((other) => other !== sink);
    };
  }

  emit(kind: TraceKind, a = 0, b = 0, c = 0, d = 0): void {
    if (this.#sinks.length === 0) return;
    const record: TraceRecord = { kind, timeNs: this.#now(), a, b, c, d };
    for (const sink of this.#sinks) sink(record);
  }
}
