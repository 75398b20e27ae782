import type { CallOptions } from './ask.ts';
import { IommudError } from './errors.ts';

/** Something that this connection has claimed of the machine. Disposing of it gives it up. */
export class Claim implements AsyncDisposable {
  readonly #giveUp: (options: CallOptions | undefined) => Promise<void>;
  #released = false;

  constructor(giveUp: (options: CallOptions | undefined) => Promise<void>) {
    this.#giveUp = giveUp;
  }

  /** Gives it up: a function is absent then until someone claims it, and a range of memory is gone at once. Once is enough. */
  async release(options?: CallOptions): Promise<void> {
    if (this.#released) return;
    await this.#giveUp(options);
    this.#released = true;
  }

  /** As {@link release}; a connection that is gone has given it up already. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch((error: unknown) => {
      if (!(error instanceof IommudError && error.code === 'ECONNRESET')) throw error;
    });
  }
}
