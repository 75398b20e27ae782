/**
 * Flow control by credits, the same arithmetic at both ends: the end that calls takes a credit or queues, the end that answers takes
 * it too and closes with 1008 when there is none.
 */
import { BODY } from './gen/bodies.ts';
import { iommud } from './gen/iommud.js';
import {
  CREDIT_ACCESS_CALLS,
  CREDIT_ACCESS_REPLY_BYTES,
  CREDIT_CONTROL_CALLS,
  CREDIT_DMA_CALLS,
  CREDIT_DMA_REPLY_BYTES,
  CREDIT_MEMORY_CALLS,
  CREDIT_MEMORY_REPLY_BYTES,
  DMA_BYTES_MAX,
} from './limits.ts';
import type { U64 } from './u64.ts';

const { CREDIT_CLASS_CONTROL, CREDIT_CLASS_ACCESS, CREDIT_CLASS_DMA, CREDIT_CLASS_MEMORY } = iommud.v1.CreditClass;
const CLASSES = [CREDIT_CLASS_CONTROL, CREDIT_CLASS_ACCESS, CREDIT_CLASS_DMA, CREDIT_CLASS_MEMORY];
export type CreditClass = number;
/** Length of a table that a {@link CreditClass} indexes. */
export const CREDIT_CLASSES = 5;

/** What each end grants when it does not say otherwise, every class. */
export const CREDIT_DEFAULTS: readonly iommud.v1.Credit.$Properties[] = [
  { class: CREDIT_CLASS_CONTROL, calls: CREDIT_CONTROL_CALLS, replyBytes: 0 },
  { class: CREDIT_CLASS_ACCESS, calls: CREDIT_ACCESS_CALLS, replyBytes: CREDIT_ACCESS_REPLY_BYTES },
  { class: CREDIT_CLASS_DMA, calls: CREDIT_DMA_CALLS, replyBytes: CREDIT_DMA_REPLY_BYTES },
  { class: CREDIT_CLASS_MEMORY, calls: CREDIT_MEMORY_CALLS, replyBytes: CREDIT_MEMORY_REPLY_BYTES },
];

/** The class of a call, by the body number of its request; control for one that is not in the contract. */
export function creditClass(number: number): CreditClass {
  switch (number) {
    case BODY.regionRead:
    case BODY.regionWrite:
    case BODY.regionWriteMulti:
    case BODY.configRead:
    case BODY.deviceInvalidate:
    case BODY.busRead:
    case BODY.busWrite:
      return CREDIT_CLASS_ACCESS;
    case BODY.dmaRead:
    case BODY.dmaWrite:
    case BODY.dmaList:
    case BODY.dmaAtomic:
    case BODY.modelDma:
    case BODY.dirtyRead:
    case BODY.deviceTranslate:
    case BODY.invalidateComplete:
    case BODY.modelPageRequest:
    case BODY.pageRequest:
    case BODY.modelInterrupt:
    case BODY.deviceInterrupt:
      return CREDIT_CLASS_DMA;
    case BODY.memoryRead:
    case BODY.memoryWrite:
    case BODY.memoryFence:
    case BODY.memoryDirty:
    case BODY.dirtyLogRead:
      return CREDIT_CLASS_MEMORY;
    default:
      return CREDIT_CLASS_CONTROL;
  }
}

/** Bytes of `data` that the reply to a call may carry: the `bytes` that it asks for, or of a bitmap of them. */
export function replyBytes(number: number, body: object): number {
  switch (number) {
    case BODY.memoryRead:
    case BODY.dmaRead:
    case BODY.dmaAtomic:
    case BODY.modelDma:
    case BODY.configRead:
      return (body as { bytes?: number | null }).bytes ?? 0;
    case BODY.dirtyRead:
    case BODY.dirtyLogRead:
      return bitmapBytes(body);
    case BODY.dmaList:
      return listBytes(body);
    default:
      return 0;
  }
}

/** A list that is refused carries nothing. */
function listBytes({ write, ranges }: iommud.v1.DmaList.$Properties): number {
  if (write === true) return 0;
  const bytes = (ranges ?? []).reduce((sum, range) => sum + (range.bytes ?? 0), 0);
  return bytes > DMA_BYTES_MAX ? 0 : bytes;
}

/** A bit for each `page_bytes` of `bytes`; more than a reply carries is refused, and nothing is carried for a call that makes no sense. */
function bitmapBytes({ bytes, pageBytes }: { bytes?: U64 | null; pageBytes?: U64 | null }): number {
  const pages = Math.floor(approximate(bytes) / approximate(pageBytes));
  return Number.isFinite(pages) ? Math.min(Math.ceil(pages / 8), DMA_BYTES_MAX) : 0;
}

/** As a double: exact below 2^53. */
function approximate(value: U64 | null | undefined): number {
  return value === undefined || value === null ? 0 : (value.high >>> 0) * 2 ** 32 + (value.low >>> 0);
}

/** The credits that one end has left with the other. */
export class CreditPool {
  /** By class. */
  readonly #calls = Array.from({ length: CREDIT_CLASSES }, () => 0);
  readonly #bytes = Array.from({ length: CREDIT_CLASSES }, () => 0);
  readonly #bytesGranted: readonly number[];

  /** `grants`: what Hello or HelloReply said; a class that it does not name has the default. The last of two for one class counts. */
  constructor(grants: readonly iommud.v1.Credit.$Properties[] = []) {
    for (const grant of [...CREDIT_DEFAULTS, ...grants]) {
      const at = CLASSES.find((known) => known === grant.class);
      if (at === undefined) continue;
      this.#calls[at] = grant.calls ?? 0;
      this.#bytes[at] = grant.replyBytes ?? 0;
    }
    this.#bytesGranted = [...this.#bytes];
  }

  /**
   * Takes the credit of one call; false when there is none and nothing was taken. A call alone in its class may ask for more bytes than
   * were granted, or it could never be made.
   */
  take(at: CreditClass, bytes: number): boolean {
    const calls = this.#calls[at] ?? 0;
    if (calls < 1) return false;
    if (bytes > 0) {
      const left = this.#bytes[at] ?? 0;
      if (bytes > left && left !== this.#bytesGranted[at]) return false;
      this.#bytes[at] = left - bytes;
    }
    this.#calls[at] = calls - 1;
    return true;
  }

  /** Gives back what `take` took for one call. */
  give(at: CreditClass, bytes: number): void {
    this.giveMany(at, 1, bytes);
  }

  /** Gives back what `calls` calls took, `bytes` together. */
  giveMany(at: CreditClass, calls: number, bytes: number): void {
    this.#calls[at] = (this.#calls[at] ?? 0) + calls;
    this.#bytes[at] = (this.#bytes[at] ?? 0) + bytes;
  }
}
