import type { Reply } from '../core/machine/index.ts';

export interface OwnCall {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls of the embedding program that have no reply yet, by token. */
export class OwnCalls {
  readonly #calls = new Map<number, OwnCall>();
  #lastToken = 0;

  get size(): number {
    return this.#calls.size;
  }

  /** The token under which its reply will come. */
  add(call: OwnCall): number {
    const token = ++this.#lastToken;
    this.#calls.set(token, call);
    return token;
  }

  resolve(token: number, reply: Reply): void {
    this.#take(token)?.resolve(reply);
  }

  reject(token: number, error: unknown): void {
    this.#take(token)?.reject(error);
  }

  rejectAll(error: unknown): void {
    for (const token of this.#calls.keys()) this.reject(token, error);
  }

  #take(token: number): OwnCall | undefined {
    const call = this.#calls.get(token);
    this.#calls.delete(token);
    return call;
  }
}
