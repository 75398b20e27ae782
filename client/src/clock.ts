import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { IommudError } from './errors.ts';
import { nsOfMs, numberOf, u64 } from './numbers.ts';

/** The machine's clock. */
export class Clock {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async info(options?: CallOptions): Promise<{ readonly nowNs: number }> {
    return { nowNs: numberOf((await ask(this.#channel, 'clockInfo', {}, options)).body.nowNs) };
  }

  /**
   * Moves it and rings what is due on the way; while an attached peer owes an answer it waits, unless `force`. Errors: EINVAL, EOPNOTSUPP (clock `real`).
   */
  async advance(
    by: ({ readonly ms: number } | { readonly ns: number }) & { readonly force?: boolean },
    options?: CallOptions,
  ): Promise<{ readonly nowNs: number; readonly movedNs: number }> {
    const ns = 'ms' in by ? nsOfMs(by.ms, 'ms') : u64(by.ns, 'ns');
    const { body } = await ask(this.#channel, 'clockAdvance', { ns, force: by.force ?? null }, options);
    return { nowNs: numberOf(body.nowNs), movedNs: numberOf(body.movedNs) };
  }

  /**
   * From now on it passes only as far as this connection grants, until {@link ClockPace.release} or the connection's end: for a simulation that sets the pace.
   * Errors: EPERM (an observer), EOPNOTSUPP (clock `real`).
   */
  async hold(options?: CallOptions): Promise<ClockPace> {
    await ask(this.#channel, 'clockHold', {}, options);
    return new ClockPace(this.#channel);
  }
}

/** The clock in this connection's hand. Disposing of it lets it go. */
export class ClockPace implements AsyncDisposable {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * One more quantum, behind those that were granted before. Resolves when the clock has come to its end: all that was due has rung, and every answer that a
   * peer owed has come. Errors: EINVAL.
   */
  async grant(by: { readonly ms: number } | { readonly ns: number }, options?: CallOptions): Promise<{ readonly nowNs: number }> {
    const ns = 'ms' in by ? nsOfMs(by.ms, 'ms') : u64(by.ns, 'ns');
    return { nowNs: numberOf((await ask(this.#channel, 'clockGrant', { ns }, options)).body.nowNs) };
  }

  /** It passes without this connection again. */
  async release(options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'clockRelease', {}, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch((error: unknown) => {
      if (!(error instanceof IommudError && error.code === 'ECONNRESET')) throw error;
    });
  }
}
