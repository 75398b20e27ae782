import { ask, type CallOptions } from './ask.ts';
import { atomicFields, type Atomic } from './atomic.ts';
import type { Channel } from './channel.ts';
import { dmaResult, type DmaResult } from './dma-result.ts';
import { DMA_OPERATION, INTERRUPT_OUTCOME, ON_FAULT, REQUEST_POINT } from './names.ts';
import type { DmaOperation, HoldPoint, InterruptOutcome, OnFault } from './names.ts';
import { nsOfMs, u32, u64 } from './numbers.ts';
import { pageRequest, pageRequestResult, stopMarker, type PageRequestOptions, type PageRequestResult } from './page-faults.ts';

export interface ModelOptions extends CallOptions {
  /** 20 bits. */
  readonly pasid?: number;
  /** Through the function's ATC: translation requests where it has no entry, then translated requests. */
  readonly translated?: boolean;
  /** With a PASID: the requests ask for privileged mode; of a read or translation request, to execute. */
  readonly privileged?: boolean;
  readonly execute?: boolean;
  /** Of a translation request: it asks for the right to write too. Absent: false. */
  readonly write?: boolean;
  /** Of a translation request: how many translations it asks for, of consecutive Smallest Translation Units. 1 to 8. Absent: 1. */
  readonly translations?: number;
  /** Holds each request at this point, until it is released or a reset drops it. */
  readonly hold?: HoldPoint;
  /** A held request goes on by itself after this time on the machine's clock. */
  readonly holdMs?: number;
  /**
   * Where a translation request grants too little. `page-request`: the function requests the missing pages and goes on when they are there. Only with
   * `translated`, or to translate. Absent: `fail`.
   */
  readonly onFault?: OnFault;
}

/**
 * What a `dma-probe` is made to do. Each resolves when the operation has ended and says what became of it.
 * Errors: ENODEV, EOPNOTSUPP (another model), EINVAL (bytes, alignment of an atomic). A fault is an outcome and no error.
 */
export class Model {
  readonly #channel: Channel;
  readonly #function: number;

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /** 1 byte to 1 MiB, which are in `data` of the result. */
  read(iova: bigint | number, bytes: number, options?: ModelOptions): Promise<DmaResult> {
    return this.#operate('read', iova, bytes, options);
  }

  /** 1 byte to 1 MiB; text is written as UTF-8. */
  write(iova: bigint | number, data: Uint8Array | string, options?: ModelOptions): Promise<DmaResult> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    return this.#operate('write', iova, bytes.length, options, bytes);
  }

  /**
   * An ATS translation request for one translation, that of the page at this address, or with `translations` for more behind it: `grants` of the result are
   * the ranges that they have. `bytes` are not looked at.
   */
  translate(iova: bigint | number, bytes = 1, options?: ModelOptions): Promise<DmaResult> {
    return this.#operate('translate', iova, bytes, options);
  }

  /** The value before is in `data` of the result, little-endian. */
  async atomic(iova: bigint | number, atomic: Atomic, options?: ModelOptions): Promise<DmaResult> {
    const { operation, bytes, data } = atomicFields(atomic);
    return this.#operate(operation, iova, bytes, options, data);
  }

  /**
   * Page requests for consecutive pages; resolves with the group's answer, or at once where `last` is false. Errors: EBUSY (the group waits for its
   * answer), EAGAIN (more than its allocation leaves room for).
   */
  async requestPages(iova: bigint | number, options?: PageRequestOptions): Promise<PageRequestResult> {
    const { body } = await ask(this.#channel, 'modelPageRequest', pageRequest(this.#function, iova, options), options);
    return pageRequestResult(body);
  }

  /** A Stop Marker: it has stopped using the PASID and waits for no answer of that any more. Errors: EINVAL (a group has no last request yet). */
  async stopPasid(pasid: number, options?: CallOptions): Promise<PageRequestResult> {
    return pageRequestResult((await ask(this.#channel, 'modelPageRequest', stopMarker(this.#function, pasid), options)).body);
  }

  /**
   * Interrupt `vector` of the function happens: by MSI-X, MSI or INTx, as its configuration space has enabled. Resolves with what became of it.
   * Errors: EINVAL (a vector that it does not have).
   */
  async interrupt(vector: number, options?: CallOptions): Promise<InterruptOutcome> {
    const request = { function: this.#function, vector: u32(vector, 'vector') };
    return INTERRUPT_OUTCOME.nameOf((await ask(this.#channel, 'modelInterrupt', request, options)).body.outcome);
  }

  /** The function's cause for INTx comes or goes. */
  async line(asserted: boolean, options?: CallOptions): Promise<InterruptOutcome> {
    const request = { function: this.#function, line: asserted };
    return INTERRUPT_OUTCOME.nameOf((await ask(this.#channel, 'modelInterrupt', request, options)).body.outcome);
  }

  async #operate(
    operation: DmaOperation,
    iova: bigint | number,
    bytes: number,
    options: ModelOptions | undefined,
    data?: Uint8Array,
  ): Promise<DmaResult> {
    const request = {
      function: this.#function,
      operation: DMA_OPERATION.numberOf(operation, 'operation'),
      iova: u64(iova, 'iova'),
      bytes: u32(bytes, 'bytes'),
      pasid: options?.pasid === undefined ? null : u32(options.pasid, 'pasid'),
      translated: options?.translated ?? null,
      privileged: options?.privileged ?? null,
      execute: options?.execute ?? null,
      write: options?.write ?? null,
      translations: options?.translations === undefined ? null : u32(options.translations, 'translations'),
      hold: options?.hold === undefined ? null : REQUEST_POINT.numberOf(options.hold, 'hold'),
      holdNs: options?.holdMs === undefined ? null : nsOfMs(options.holdMs, 'holdMs'),
      onFault: options?.onFault === undefined ? null : ON_FAULT.numberOf(options.onFault, 'onFault'),
    };
    const answer = await ask(this.#channel, 'modelDma', request, options, data);
    return dmaResult(answer.body.result, answer.data);
  }
}
