/** The device role: functions that this program emulates. */
import type { Calls } from '../../proto/index.ts';
import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel, PeerAnswer } from './channel.ts';
import { Claim } from './claim.ts';
import { DeviceAts, invalidationAnswer, type Invalidation, type InvalidationAnswer } from './device-ats.ts';
import { DeviceDma } from './device-dma.ts';
import { INTERRUPT_OUTCOME, type AtcOwner, type InterruptOutcome, type ResetMethod } from './names.ts';
import { u32, u64 } from './numbers.ts';

const NS_PER_MS = 1_000_000;

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
  /** An alarm of {@link ClaimedFunction.setAlarm} is due, in turn with the accesses. The machine's clock stands until this settles. */
  onAlarm?(alarm: number): void | Promise<void>;
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
  /**
   * What the function is: an entry of `functions` in a topology (`{ vendor: '0x1234', bars: [{ bar: 0, size: '4KiB' }], capabilities: … }`), whose model is remote.
   * Where something else stands in the slot it is replaced. Absent: what stands there.
   */
  readonly declare?: object;
  /** Writes to BARs are not answered, and hosts do not wait for them. Absent: false. */
  readonly postedWrites?: boolean;
  /** Widths of BAR accesses that it takes; hosts get EINVAL for others. Absent: all. */
  readonly widths?: readonly (1 | 2 | 4 | 8)[];
  /**
   * Who caches the function's translations. `server`: DMA with `translated` names IOVAs, and invalidations are none of this program's business. `peer`: this
   * program, by {@link ClaimedFunction.ats} and `onInvalidate`; DMA with `translated` names physical addresses. Absent: `server`.
   */
  readonly atc?: AtcOwner;
  /** How long a reset may take to be answered, wall clock: 1 to 600,000 ms. Absent: 30,000. Past it the reset goes on as with a function that is not ready. */
  readonly resetDeadlineMs?: number;
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
  /** It had vanished, and is as hosts have set it up; a reset follows. */
  restarted = false;
  /** Its last reset was a loss of power, which sticky registers do not survive either. */
  lostPower = false;

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

  /**
   * `onAlarm` is called when so much time has passed on the machine's clock. Alarms are numbered 0 to 15; one that is set already is set anew, and a reset takes
   * all back. Errors: EINVAL (alarm).
   */
  async setAlarm(alarm: number, delay: { readonly ms?: number; readonly ns?: number }, options?: CallOptions): Promise<void> {
    const delayNs = Math.round((delay.ms ?? 0) * NS_PER_MS) + (delay.ns ?? 0);
    const request = { function: this.#function, alarm: u32(alarm, 'alarm'), delayNs: u64(delayNs, 'delay') };
    await ask(this.#channel, 'deviceAlarmSet', request, options);
  }

  async cancelAlarm(alarm: number, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'deviceAlarmSet', { function: this.#function, alarm: u32(alarm, 'alarm') }, options);
  }

  alarm(alarm: number): PeerAnswer | Promise<PeerAnswer> {
    return this.#inTurn(() => {
      const done = this.#handlers.onAlarm?.(alarm);
      return done instanceof Promise ? done.then(() => ({})) : {};
    });
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

  reset(method: ResetMethod, cold: boolean): PeerAnswer | Promise<PeerAnswer> {
    this.lostPower = cold;
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

function valueAnswer(value: bigint | number): PeerAnswer {
  return { body: { value: u64(value, 'value') } };
}
