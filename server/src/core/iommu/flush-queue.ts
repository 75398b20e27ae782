/**
 * The flush queue of a lazy default domain (`queue_iova`, `fq_flush_iotlb` of dma-iommu.c): unmapped addresses wait in it until a flush of the whole
 * domain has finished that started after they were entered.
 */

/** Slots of the ring, one of which is always empty (IOVA_DEFAULT_FQ_SIZE). */
const SLOTS = 256;
/** How long an address waits at most before a flush begins (IOVA_DEFAULT_FQ_TIMEOUT). */
export const FLUSH_TIMEOUT_NS = 10_000_000;

interface Entry {
  /** The first page of the address. */
  readonly page: number;
  /** Flushes that had started when it was entered. */
  readonly started: number;
}

/** Plain data. */
export interface FlushQueue {
  /** The oldest first. */
  readonly entries: Entry[];
  started: number;
  finished: number;
  timerOn: boolean;
  /** Flushes that are at work, by the number of their operation. */
  readonly atWork: Set<number>;
}

export function emptyQueue(): FlushQueue {
  return { entries: [], started: 0, finished: 0, timerOn: false, atWork: new Set() };
}

export function isFull(queue: FlushQueue): boolean {
  return queue.entries.length === SLOTS - 1;
}

export function enqueue(queue: FlushQueue, page: number): void {
  queue.entries.push({ page, started: queue.started });
}

/**
 * Takes out the addresses that may be given away again, and returns their first pages. As many flushes have finished as had started by then, and one
 * more: that one, or one of those, started later.
 */
export function takeFlushed(queue: FlushQueue): readonly number[] {
  const end = queue.entries.findIndex((entry) => entry.started >= queue.finished);
  return queue.entries.splice(0, end < 0 ? queue.entries.length : end).map((entry) => entry.page);
}
