import { ask, type CallOptions } from './ask.ts';
import { bdfText, packBdf } from './bdf.ts';
import type { Channel } from './channel.ts';
import { numberOf, u32 } from './numbers.ts';

/** A call that stands before a step (docs/steps.md). */
export interface HeldCall {
  readonly id: number;
  readonly call: string;
  /** The step that it has not done yet. */
  readonly step: string;
  /** Undefined for an unmap, which is a domain's. */
  readonly function: string | undefined;
  readonly hold: number;
  /** Since when, on the machine's clock. */
  readonly sinceNs: number;
}

export interface HoldOptions extends CallOptions {
  /** Only calls on this function. */
  readonly function?: string;
  /** How often it stops one; without end when absent. */
  readonly count?: number;
}

/**
 * Calls of any host, held in the middle of their work:
 *
 *   const hold = await machine.calls.hold('prepare', 'atc-sent');
 *   const prepared = dev.resetPrepare({ deadlineMs: 10 });   // not awaited: it stands before the step
 *   …                                            // what happens meanwhile
 *   await hold.release();
 *   await prepared;
 */
export class CallHolds {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Holds calls of this name before this step; without a step before every one of them, without a name calls of any. Errors: EINVAL (no such call or
   * step), EAGAIN (too many holds).
   */
  async hold(call?: string, step?: string, options?: HoldOptions): Promise<Hold> {
    const request = {
      call: call ?? null,
      step: step ?? null,
      function: options?.function === undefined ? null : packBdf(options.function),
      count: options?.count === undefined ? null : u32(options.count, 'count'),
    };
    return new Hold(this.#channel, (await ask(this.#channel, 'callHold', request, options)).body.hold);
  }

  /** What stands before a step now, by whichever hold. */
  async held(options?: CallOptions): Promise<HeldCall[]> {
    const { body } = await ask(this.#channel, 'callsHeld', {}, options);
    return body.calls.map(({ id, call, step, function: fn, hold, sinceNs }) => ({
      id,
      call,
      step,
      function: fn === null ? undefined : bdfText(fn),
      hold,
      sinceNs: numberOf(sinceNs),
    }));
  }
}

/** One hold; it goes with the connection that set it. */
export class Hold {
  readonly #channel: Channel;
  readonly id: number;

  constructor(channel: Channel, id: number) {
    this.#channel = channel;
    this.id = id;
  }

  /** Takes the hold away; all that it stopped goes on. Errors: ENOENT. */
  async release(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'callRelease', { hold: this.id, stopped: null, keep: null }, options);
  }

  /** Lets all that it stopped, or one call of {@link CallHolds.held}, go on to the next step that it names. Errors: ENOENT. */
  async step(stopped?: number, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'callRelease', { hold: this.id, stopped: stopped ?? null, keep: true }, options);
  }
}
