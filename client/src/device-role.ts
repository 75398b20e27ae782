/** The device role: functions that this program emulates. */
import type { Calls } from '../../proto/index.ts';
import { DMA_BYTES_MAX } from '../../proto/limits.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import type { Channel, PeerAnswer } from './channel.ts';
import { Claim } from './claim.ts';
import { DeviceAts, invalidationAnswer, type Invalidation, type InvalidationAnswer } from './device-ats.ts';
import { dmaResult, type DmaResult } from './dma-result.ts';
import { IommudError, isCancelled } from './errors.ts';
import {
  ATC_OWNER,
  CONFIG_KEEPER,
  INTERRUPT_OUTCOME,
  RESET_METHOD,
  type AtcOwner,
  type InterruptOutcome,
  type ResetMethod,
} from './names.ts';
import { bigintOf, numberOf, u32, u64 } from './numbers.ts';
import { pageRequest, pageRequestResult, stopMarker, type PageRequestOptions, type PageRequestResult } from './page-faults.ts';

export interface RegionAccess {
  /** 0 to 5 BAR, 6 expansion ROM, 7 configuration space. */
  readonly region: number;
  /** Bytes from the region's start, a multiple of the width. */
  readonly offset: number;
  /** Width: 1, 2, 4 or 8. */
  readonly bytes: number;
}

/**
 * What the function does when it is accessed. Reads and writes start one after the other, in the order in which the host made them, each when the
 * one before has settled, so a read sees what earlier writes did; a reset starts at once. A throw is answered as an error.
 */
export interface DeviceHandlers {
  /** Little-endian register value. Without this handler every register is 0. */
  onRegionRead?(access: RegionAccess): bigint | number | Promise<bigint | number>;
  onRegionWrite?(access: RegionAccess & { readonly value: bigint }): void | Promise<void>;
  /** The function is reset; it is ready when this settles. */
  onReset?(method: ResetMethod): void | Promise<void>;
  /**
   * Of a function that was claimed with `atc: 'peer'`: drop what you have cached of the range. It is completed when this settles, which is after the last
   * request that used it was sent; {@link DeviceAts.complete} completes what was answered `'later'`. Starts at once, as a reset does.
   */
  onInvalidate?(invalidation: Invalidation): InvalidationAnswer | Promise<InvalidationAnswer>;
}

/** How the function is to be accessed. */
export interface ClaimOptions extends CallOptions {
  /** `emulator`: accesses to configuration space come to the handlers too, as region 7. Absent: the server keeps it. */
  readonly config?: 'server' | 'emulator';
  /** Writes to BARs are not answered, and hosts do not wait for them. Absent: false. */
  readonly postedWrites?: boolean;
  /** Widths of BAR accesses that it takes; hosts get EINVAL for others. Absent: all. */
  readonly widths?: readonly (1 | 2 | 4 | 8)[];
  /**
   * Who caches the function's translations. `server`: DMA with `translated` names IOVAs, and invalidations are none of this program's business. `peer`: this
   * program, by {@link ClaimedFunction.ats} and `onInvalidate`; DMA with `translated` names physical addresses. Absent: `server`.
   */
  readonly atc?: AtcOwner;
}

export interface DmaOptions extends CallOptions {
  /** 20 bits. Absent: without a PASID. */
  readonly pasid?: number;
  /** Through the function's ATC; where this program keeps that, the address is physical (`atc` of {@link ClaimOptions}). Absent: false. */
  readonly translated?: boolean;
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
  async read(iova: bigint | number, bytes: number, options?: DmaOptions): Promise<DmaResult> {
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

  async #readPart(iova: ReturnType<typeof u64>, bytes: number, options: DmaOptions | undefined): Promise<DmaResult> {
    const request = {
      function: this.#function,
      iova,
      bytes: u32(bytes, 'bytes'),
      pasid: pasidOf(options),
      translated: options?.translated ?? null,
    };
    const answer = await this.#channel.request('dmaRead', request, undefined, options?.signal);
    if (answer.failed) throw new IommudError(answer);
    return dmaResult(answer.body.result, answer.data);
  }

  async #writePart(iova: ReturnType<typeof u64>, data: Uint8Array, options: DmaOptions | undefined): Promise<DmaResult> {
    const answer = await this.#channel.request(
      'dmaWrite',
      { function: this.#function, iova, pasid: pasidOf(options), translated: options?.translated ?? null },
      data,
      options?.signal,
    );
    if (answer.failed) throw new IommudError(answer);
    return dmaResult(answer.body.result, undefined);
  }
}

/** A function that this connection emulates. Disposing of it gives it up. */
export class ClaimedFunction extends Claim {
  /** `00:04.0`. */
  readonly bdf: string;
  readonly dma: DeviceDma;
  readonly ats: DeviceAts;
  readonly #channel: Channel;
  readonly #function: number;
  readonly #handlers: DeviceHandlers;
  /** Settles when every access that has come is answered; undefined when that is so. */
  #busy: Promise<unknown> | undefined;

  /** Configuration space as it stood when it was claimed. */
  config = new Uint8Array(0);

  constructor(channel: Channel, fn: number, handlers: DeviceHandlers, giveUp: (options: CallOptions | undefined) => Promise<void>) {
    super(giveUp);
    this.bdf = bdfText(fn);
    this.#channel = channel;
    this.#function = fn;
    this.dma = new DeviceDma(channel, fn);
    this.ats = new DeviceAts(channel, fn);
    this.#handlers = handlers;
  }

  /**
   * Interrupt `vector` happens: by MSI-X, MSI or INTx, as configuration space has enabled; after the DMA writes that were made before. The server keeps the
   * masks and the pending bits. Errors: EINVAL (a vector that it does not have).
   */
  async interrupt(vector: number, options?: CallOptions): Promise<InterruptOutcome> {
    const request = { function: this.#function, vector: u32(vector, 'vector') };
    return INTERRUPT_OUTCOME.nameOf((await ask(this.#channel, 'deviceInterrupt', request, options)).body.outcome);
  }

  /** Its cause for INTx comes or goes. */
  async line(asserted: boolean, options?: CallOptions): Promise<InterruptOutcome> {
    const request = { function: this.#function, line: asserted };
    return INTERRUPT_OUTCOME.nameOf((await ask(this.#channel, 'deviceInterrupt', request, options)).body.outcome);
  }

  read(access: RegionAccess): PeerAnswer | Promise<PeerAnswer> {
    return this.#inTurn(() => {
      const value = this.#handlers.onRegionRead?.(access) ?? 0;
      return value instanceof Promise ? value.then(valueAnswer) : valueAnswer(value);
    });
  }

  write(access: RegionAccess & { readonly value: bigint }): PeerAnswer | Promise<PeerAnswer> {
    return this.#inTurn(() => {
      const written = this.#handlers.onRegionWrite?.(access);
      return written instanceof Promise ? written.then(() => ({})) : {};
    });
  }

  reset(method: ResetMethod): PeerAnswer | Promise<PeerAnswer> {
    const ready = this.#handlers.onReset?.(method);
    return ready instanceof Promise ? ready.then(() => ({})) : {};
  }

  invalidate(request: Calls['deviceInvalidate']['request']): PeerAnswer | Promise<PeerAnswer> {
    const answer = this.#handlers.onInvalidate?.(this.ats.noteInvalidation(request));
    return answer instanceof Promise ? answer.then(invalidationAnswer) : invalidationAnswer(answer);
  }

  #inTurn(run: () => PeerAnswer | Promise<PeerAnswer>): PeerAnswer | Promise<PeerAnswer> {
    const answer = this.#busy === undefined ? run() : this.#busy.then(run);
    if (!(answer instanceof Promise)) return answer;
    const busy: Promise<unknown> = answer.then(
      () => this.#rest(busy),
      () => this.#rest(busy),
    );
    this.#busy = busy;
    return answer;
  }

  #rest(which: Promise<unknown>): void {
    if (this.#busy === which) this.#busy = undefined;
  }
}

/** The functions of one connection, and the way of a call to its function. */
export class ClaimedFunctions {
  readonly #channel: Channel;
  readonly #functions = new Map<number, ClaimedFunction>();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Errors: ENODEV, EBUSY (claimed by another), EOPNOTSUPP (not a remote function), EPERM (no device role), EEXIST (claimed here). */
  async claim(bdf: string, handlers: DeviceHandlers, options?: ClaimOptions): Promise<ClaimedFunction> {
    const fn = packBdf(bdf);
    if (this.#functions.has(fn))
      throw new IommudError({ code: 'EEXIST', message: `${bdf} is claimed by this connection already`, about: bdf });
    const claimed = new ClaimedFunction(this.#channel, fn, handlers, async (releaseOptions) => {
      await ask(this.#channel, 'deviceRelease', { function: fn }, releaseOptions);
      this.#functions.delete(fn);
    });
    // Before the claim is answered: the first access may come right behind the answer.
    this.#functions.set(fn, claimed);
    try {
      claimed.config = (await ask(this.#channel, 'deviceClaim', termsOf(fn, options), options)).data?.slice() ?? claimed.config;
    } catch (error) {
      this.#functions.delete(fn);
      // Given up is not undone: behind the claim goes what undoes it, if it had effect.
      if (isCancelled(error)) void ask(this.#channel, 'deviceRelease', { function: fn }).catch(() => undefined);
      throw error;
    }
    return claimed;
  }

  regionRead(request: Calls['regionRead']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#at(request.function).read(accessOf(request));
  }

  regionWrite(request: Calls['regionWrite']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#at(request.function).write({ ...accessOf(request), value: request.value ? bigintOf(request.value) : 0n });
  }

  /** Each starts when the one before has settled; the first that fails is the answer. */
  async regionWriteMulti(request: Calls['regionWriteMulti']['request']): Promise<PeerAnswer> {
    const fn = this.#at(request.function);
    const answers = (request.writes ?? []).map(
      (write) => new Promise((resolve) => resolve(fn.write({ ...accessOf(write), value: write.value ? bigintOf(write.value) : 0n }))),
    );
    for (const one of await Promise.allSettled(answers)) if (one.status === 'rejected') throw one.reason;
    return {};
  }

  reset(request: Calls['deviceReset']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#at(request.function).reset(RESET_METHOD.nameOf(request.method ?? 0));
  }

  invalidate(request: Calls['deviceInvalidate']['request']): PeerAnswer | Promise<PeerAnswer> {
    return this.#at(request.function).invalidate(request);
  }

  #at(fn: number | null | undefined): ClaimedFunction {
    const claimed = this.#functions.get(fn ?? 0);
    if (claimed === undefined) throw new IommudError({ code: 'ENODEV', message: `${bdfText(fn ?? 0)} is not emulated here` });
    return claimed;
  }
}

function termsOf(fn: number, { config, postedWrites, widths, atc }: ClaimOptions = {}): Calls['deviceClaim']['request'] {
  return {
    function: fn,
    config: config === undefined ? null : CONFIG_KEEPER.numberOf(config, 'config'),
    postedWrites: postedWrites ?? null,
    widths: widths === undefined ? null : widths.reduce((sum, width) => sum | width, 0),
    // The handlers see one write at a time in any case.
    writeMulti: true,
    atc: atc === undefined ? null : ATC_OWNER.numberOf(atc, 'atc'),
  };
}

function accessOf(request: Pick<Calls['regionRead']['request'], 'region' | 'offset' | 'bytes'>): RegionAccess {
  return { region: request.region ?? 0, offset: request.offset ? numberOf(request.offset) : 0, bytes: request.bytes ?? 0 };
}

function valueAnswer(value: bigint | number): PeerAnswer {
  return { body: { value: u64(value, 'value') } };
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
