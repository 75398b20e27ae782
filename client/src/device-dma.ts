/** DMA of the device role. */
import { DMA_BYTES_MAX } from '../../proto/limits.ts';
import { ask, type CallOptions } from './ask.ts';
import { atomicFields, type Atomic } from './atomic.ts';
import type { Channel } from './channel.ts';
import { dmaResult, type DmaResult } from './dma-result.ts';
import { IommudError } from './errors.ts';
import { DMA_OPERATION } from './names.ts';
import { bigintOf, u32, u64 } from './numbers.ts';
import { pageRequest, pageRequestResult, stopMarker, type PageRequestOptions, type PageRequestResult } from './page-faults.ts';

export interface DmaOptions extends CallOptions {
  /** 20 bits. Absent: without a PASID. */
  readonly pasid?: number;
  /** Through the function's ATC; where this program keeps that, the address is physical (`atc` of {@link ClaimOptions}). Absent: false. */
  readonly translated?: boolean;
  /** With a PASID: the requests ask for privileged mode. Absent: false. */
  readonly privileged?: boolean;
}

export interface DmaReadOptions extends DmaOptions {
  /** With a PASID: the requests ask to execute. Absent: false. */
  readonly execute?: boolean;
}

/** DMA from a function that this program emulates. A fault is an outcome and no error. Errors: ENODEV, EPERM (not claimed), EINVAL. */
export class DeviceDma {
  readonly #channel: Channel;
  readonly #function: number;

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /** The bytes are in `data` of the result. More than one call carries (1 MiB) is read in turn, up to the first fault. */
  async read(iova: bigint | number, bytes: number, options?: DmaReadOptions): Promise<DmaResult> {
    const start = u64(iova, 'iova');
    if (u32(bytes, 'bytes') <= DMA_BYTES_MAX) return this.#readPart(start, bytes, options);
    return inParts(bytes, (from, size) => this.#readPart(u64(bigintOf(start) + BigInt(from), 'iova'), size, options));
  }

  /** More than one call carries (1 MiB) is written in turn, up to the first fault. */
  async write(iova: bigint | number, data: Uint8Array, options?: DmaOptions): Promise<DmaResult> {
    const start = u64(iova, 'iova');
    if (data.length <= DMA_BYTES_MAX) return this.#writePart(start, data, options);
    return inParts(data.length, (from, size) =>
      this.#writePart(u64(bigintOf(start) + BigInt(from), 'iova'), data.subarray(from, from + size), options),
    );
  }

  /**
   * An AtomicOp, at a multiple of its size. The value before is in `data` of the result, little-endian. Errors: EINVAL (bytes, alignment, a number that is no
   * safe integer).
   */
  async atomic(iova: bigint | number, atomic: Atomic, options?: DmaOptions): Promise<DmaResult> {
    const { operation, bytes, data } = atomicFields(atomic);
    const request = {
      function: this.#function,
      iova: u64(iova, 'iova'),
      operation: DMA_OPERATION.numberOf(operation, 'operation'),
      bytes,
      ...termsOf(options),
    };
    const answer = await ask(this.#channel, 'dmaAtomic', request, options, data);
    return dmaResult(answer.body.result, answer.data);
  }

  /** Several ranges in one call, at most 256 and 1 MiB together; a result for each, in order, with its bytes. Errors: EINVAL names the range. */
  readList(
    ranges: readonly { readonly iova: bigint | number; readonly bytes: number }[],
    options?: DmaReadOptions,
  ): Promise<readonly DmaResult[]> {
    return this.#list(ranges, undefined, options);
  }

  /** The same of writes. */
  writeList(
    ranges: readonly { readonly iova: bigint | number; readonly data: Uint8Array }[],
    options?: DmaOptions,
  ): Promise<readonly DmaResult[]> {
    const all = new Uint8Array(ranges.reduce((sum, { data }) => sum + data.length, 0));
    let at = 0;
    for (const { data } of ranges) {
      all.set(data, at);
      at += data.length;
    }
    return this.#list(
      ranges.map(({ iova, data }) => ({ iova, bytes: data.length })),
      all,
      options,
    );
  }

  /**
   * Page requests of the function for consecutive pages; resolves with the group's answer, or at once where `last` is false. Errors: EPERM (not claimed),
   * EBUSY (the group waits for its answer), EAGAIN (more than its allocation leaves room for).
   */
  async requestPages(iova: bigint | number, options?: PageRequestOptions): Promise<PageRequestResult> {
    return pageRequestResult((await ask(this.#channel, 'pageRequest', pageRequest(this.#function, iova, options), options)).body);
  }

  /** A Stop Marker: it has stopped using the PASID. */
  async stopPasid(pasid: number, options?: CallOptions): Promise<PageRequestResult> {
    return pageRequestResult((await ask(this.#channel, 'pageRequest', stopMarker(this.#function, pasid), options)).body);
  }

  async #list(
    ranges: readonly { readonly iova: bigint | number; readonly bytes: number }[],
    written: Uint8Array | undefined,
    options: DmaReadOptions | undefined,
  ): Promise<readonly DmaResult[]> {
    const request = {
      function: this.#function,
      ranges: ranges.map(({ iova, bytes }) => ({ iova: u64(iova, 'iova'), bytes: u32(bytes, 'bytes') })),
      write: written !== undefined,
      ...termsOf(options),
      execute: options?.execute ?? null,
    };
    const { body, data } = await ask(this.#channel, 'dmaList', request, options, written);
    let at = 0;
    return body.results.map((result, i) => {
      const from = at;
      at += ranges[i]?.bytes ?? 0;
      return dmaResult(result, written === undefined ? data?.slice(from, from + result.bytesDone) : undefined);
    });
  }

  async #readPart(iova: ReturnType<typeof u64>, bytes: number, options: DmaReadOptions | undefined): Promise<DmaResult> {
    const request = {
      function: this.#function,
      iova,
      bytes: u32(bytes, 'bytes'),
      pasid: pasidOf(options),
      translated: options?.translated ?? null,
      privileged: options?.privileged ?? null,
      execute: options?.execute ?? null,
    };
    const answer = await this.#channel.request('dmaRead', request, undefined, options?.signal);
    if (answer.failed) throw new IommudError(answer);
    return dmaResult(answer.body.result, answer.data);
  }

  async #writePart(iova: ReturnType<typeof u64>, data: Uint8Array, options: DmaOptions | undefined): Promise<DmaResult> {
    const answer = await this.#channel.request(
      'dmaWrite',
      {
        function: this.#function,
        iova,
        pasid: pasidOf(options),
        translated: options?.translated ?? null,
        privileged: options?.privileged ?? null,
      },
      data,
      options?.signal,
    );
    if (answer.failed) throw new IommudError(answer);
    return dmaResult(answer.body.result, undefined);
  }
}

function termsOf(options: DmaOptions | undefined) {
  return { pasid: pasidOf(options), translated: options?.translated ?? null, privileged: options?.privileged ?? null };
}

function pasidOf(options: DmaOptions | undefined): number | null {
  return options?.pasid === undefined ? null : u32(options.pasid, 'pasid');
}

/** One after the other until one does not take effect in full, made into one result. */
async function inParts(bytes: number, part: (from: number, size: number) => Promise<DmaResult>): Promise<DmaResult> {
  const data = new Uint8Array(bytes);
  let whole: DmaResult | undefined;
  for (let from = 0; from < bytes && (whole === undefined || whole.outcome === 'performed'); from += DMA_BYTES_MAX) {
    const one = await part(from, Math.min(DMA_BYTES_MAX, bytes - from));
    data.set(one.data ?? [], from);
    const elapsedMs = (whole?.elapsedMs ?? 0) + (one.elapsedMs ?? 0);
    whole = {
      ...one,
      requests: (whole?.requests ?? 0) + one.requests,
      bytes: (whole?.bytes ?? 0) + one.bytes,
      data: one.data === undefined ? undefined : data,
      elapsedMs: elapsedMs === 0 ? undefined : elapsedMs,
    };
  }
  return whole as DmaResult;
}
