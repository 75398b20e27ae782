import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
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
}
