/** ATS of a function that this program emulates and whose translations it caches itself. */
import type { Calls } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import type { Channel, PeerAnswer } from './channel.ts';
import { dmaResult, type DmaResult, type Grant } from './dma-result.ts';
import { IommudError } from './errors.ts';
import { bigintOf, u32, u64 } from './numbers.ts';

/** An Invalidate Request (PCIe Base r6.0 §10.3.1). */
export interface Invalidation {
  /** 0 to 31: its tag, which the completion names. */
  readonly itag: number;
  /** Undefined: entries that were made without a PASID, and every entry that was made with one. */
  readonly pasid: number | undefined;
  readonly iova: bigint;
  /** A power of two from 4096, to which `iova` is aligned. Undefined: everything. */
  readonly bytes: bigint | undefined;
}

/** `'later'`: it is not done, and {@link DeviceAts.complete} will say when it is, or nothing does and it times out. */
export type InvalidationAnswer = void | 'later';

export interface TranslateOptions extends CallOptions {
  /** 20 bits. Absent: without a PASID. */
  readonly pasid?: number;
  /** It asks for the right to write too. Absent: false. */
  readonly write?: boolean;
  /** For privileged mode; with a PASID. Absent: false. */
  readonly privileged?: boolean;
  /** It asks for the right to execute too; with a PASID. Absent: false. */
  readonly execute?: boolean;
  /** How many translations it asks for, of consecutive Smallest Translation Units: 1 to 8. Absent: 1. */
  readonly count?: number;
}

export interface DeviceTranslation extends DmaResult {
  /** An Invalidate Request for it came before its answer: the translation must not be cached, nor used (PCIe Base r6.0 §10.3). */
  readonly overtaken: boolean;
}

const ITAGS = 32;

export class DeviceAts {
  readonly #channel: Channel;
  readonly #function: number;
  /** Of each translation request without an answer: the Invalidate Requests that have come since. */
  readonly #asked = new Set<Invalidation[]>();

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /**
   * A translation request. What it was granted is in `grants`; a refusal is an outcome and no error. Errors: EPERM (not claimed), EINVAL, EAGAIN (too many
   * requests in flight).
   */
  async translate(iova: bigint | number, options: TranslateOptions = {}): Promise<DeviceTranslation> {
    const { pasid, write, privileged, execute, count } = options;
    const request = {
      function: this.#function,
      iova: u64(iova, 'iova'),
      pasid: pasid === undefined ? null : u32(pasid, 'pasid'),
      write: write ?? null,
      privileged: privileged ?? null,
      execute: execute ?? null,
      translations: count === undefined ? null : u32(count, 'count'),
    };
    const since: Invalidation[] = [];
    this.#asked.add(since);
    try {
      const { body } = await ask(this.#channel, 'deviceTranslate', request, options);
      const result = dmaResult(body.result, undefined);
      return {
        ...result,
        overtaken: since.some((invalidation) => takes(invalidation, pasid, bigintOf(request.iova), result.grants ?? [])),
      };
    } finally {
      this.#asked.delete(since);
    }
  }

  /**
   * An Invalidate Completion of the function's own, for one tag or several; behind its DMA writes. Tags with no request in flight are counted by the server
   * and change nothing. `completions`: how many messages each of these requests gets in all, this one too, and each of them says the same: 1 to 8, one for each
   * traffic class that the function uses; 1 when absent. Errors: EPERM (not claimed), EOPNOTSUPP (the server keeps the ATC), EINVAL.
   */
  async complete(itags: number | readonly number[], options?: CallOptions & { readonly completions?: number }): Promise<void> {
    let vector = 0;
    for (const itag of typeof itags === 'number' ? [itags] : itags) {
      if (!Number.isInteger(itag) || itag < 0 || itag >= ITAGS)
        throw new IommudError({ code: 'EINVAL', message: `ITags are 0 to 31, and none is ${itag}`, about: 'itags' });
      vector |= 1 << itag;
    }
    const completions = options?.completions === undefined ? null : u32(options.completions, 'completions');
    await ask(this.#channel, 'invalidateComplete', { function: this.#function, itags: vector >>> 0, completions }, options);
  }

  /** Notes which translation requests an Invalidate Request overtakes, and returns what it says. */
  noteInvalidation(request: Calls['deviceInvalidate']['request']): Invalidation {
    const { itag, pasid, iova, bytes } = request;
    const invalidation: Invalidation = {
      itag: itag ?? 0,
      pasid: pasid ?? undefined,
      iova: iova ? bigintOf(iova) : 0n,
      bytes: bytes ? bigintOf(bytes) : undefined,
    };
    for (const since of this.#asked) since.push(invalidation);
    return invalidation;
  }
}

/** Whether it takes one of the translations that were granted; without a PASID also all that were made with one. */
function takes({ pasid, iova, bytes }: Invalidation, asked: number | undefined, at: bigint, grants: readonly Grant[]): boolean {
  const [first] = grants;
  if (first === undefined || (pasid !== undefined && pasid !== asked && first.global !== true)) return false;
  if (bytes === undefined || (pasid === undefined && asked !== undefined)) return true;
  const from = at & ~(first.bytes - 1n);
  return from < iova + bytes && iova < from + first.bytes * BigInt(grants.length);
}

export function invalidationAnswer(answer: InvalidationAnswer): PeerAnswer {
  return answer === 'later' ? { body: { later: true } } : {};
}
