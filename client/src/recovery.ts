import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { ERROR_CALLBACK, RECOVERY_RESET, VOTE, type ErrorCallback, type RecoveryReset, type Vote } from './names.ts';
import { msOfNs, numberOf } from './numbers.ts';
import type { Waited } from './waited.ts';

export interface RecoveryReport extends Waited {
  readonly recovered: boolean;
  /** What the votes came to. */
  readonly status: Vote;
  readonly reset: RecoveryReset;
  readonly affected: readonly string[];
  /** Why the reset failed; undefined where it did not. */
  readonly warning: string | undefined;
}

/** Recovery from errors, as Linux does it, of one function by its packed place; the host plays its driver. */
export class Recovery {
  readonly #channel: Channel;
  readonly #function: number;

  constructor(channel: Channel, fn: number) {
    this.#channel = channel;
    this.#function = fn;
  }

  /** What its driver answers from now on. Where nothing was said: `need-reset` to a frozen link and `can-recover` else, and `recovered` after that. */
  async vote(callback: ErrorCallback, vote: Vote, options?: CallOptions): Promise<void> {
    const request = {
      function: this.#function,
      callback: ERROR_CALLBACK.numberOf(callback, 'callback'),
      vote: VOTE.numberOf(vote, 'vote'),
    };
    await ask(this.#channel, 'errorVote', request, options);
  }

  /** Recovers all below its port, or itself where it has none. `frozen`: the error was fatal, or a port has contained. Errors: EBUSY. */
  async recover(options?: CallOptions & { readonly frozen?: boolean }): Promise<RecoveryReport> {
    const { body } = await ask(this.#channel, 'errorRecover', { function: this.#function, frozen: options?.frozen ?? false }, options);
    return {
      recovered: body.recovered,
      status: VOTE.nameOf(body.status),
      reset: RECOVERY_RESET.nameOf(body.reset),
      affected: body.affected.map(bdfText),
      warning: body.warning === '' ? undefined : body.warning,
      elapsedMs: msOfNs(numberOf(body.elapsedNs)),
    };
  }
}
