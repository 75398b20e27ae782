/** The lives of a function that is played: each has a state of its own, ends with a reset, and takes the work that belongs to it along. */
import type { ErrorCode, IommudError } from './errors.ts';

/** What a function's work stands on; the rest of it passes through. */
interface Living<State> {
  readonly state: State;
  readonly signal: AbortSignal;
}

/** What a call gets where the function is not this program's any more: the connection is gone, the function, or the claim. */
const GONE: readonly ErrorCode[] = ['ECONNRESET', 'ENODEV', 'EPERM'];

/** Rejects a call of work whose life is over. */
class Over extends Error {}

/** The life that a function has now. */
export class FunctionLife<State> {
  readonly #makeState: () => State;
  #end = new AbortController();
  #state: State;

  constructor(makeState: () => State) {
    this.#makeState = makeState;
    this.#state = makeState();
  }

  get state(): State {
    return this.#state;
  }
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** A new life with a new state; after {@link end} too there is one, which is over. */
  renew(): void {
    const ended = this.#end;
    if (!ended.signal.aborted) this.#end = new AbortController();
    this.#state = this.#makeState();
    ended.abort();
  }

  /** The last one is over. */
  end(): void {
    this.#end.abort();
  }

  /** Does work that belongs to the life of now: what it is given is bound to that. */
  run<Fn extends Living<State>>(fn: Fn, work: (fn: Fn) => Promise<void>): Promise<void> {
    return worked(bound(fn, this.#state, this.#end.signal), work);
  }
}

async function worked<Fn extends { readonly signal: AbortSignal }>(fn: Fn, work: (fn: Fn) => Promise<void>): Promise<void> {
  if (fn.signal.aborted) return;
  try {
    await work(fn);
  } catch (error) {
    if (error instanceof Over || isGone(error)) return;
    // What was given its signal gave up with it.
    if (fn.signal.aborted && error instanceof Error && error.name === 'AbortError') return;
    throw error;
  }
}

/** By its name: where a program has the client twice, the connection may be of the other one. */
function isGone(error: unknown): boolean {
  return error instanceof Error && error.name === 'IommudError' && GONE.includes((error as IommudError).code);
}

/** The function as it is in one life: its calls, and those of what it has, reject when that is over. */
function bound<State, Fn extends Living<State>>(fn: Fn, state: State, signal: AbortSignal): Fn {
  const inLife: Fn = new Proxy(fn, {
    get(target, key) {
      if (key === 'state') return state;
      if (key === 'signal') return signal;
      if (key === 'run') return (work: (fn: Fn) => Promise<void>) => worked(inLife, work);
      const value: unknown = Reflect.get(target, key);
      if (typeof value === 'function') return guarded(value, target, signal);
      return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) ? callsGuarded(value, signal) : value;
    },
  });
  return inLife;
}

function callsGuarded<T extends object>(of: T, signal: AbortSignal): T {
  return new Proxy(of, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? guarded(value, target, signal) : value;
    },
  });
}

/** Nothing is asked after the end, and what was asked before it is not answered after it. */
function guarded(call: Function, of: object, signal: AbortSignal) {
  return (...parameters: unknown[]): unknown => {
    if (signal.aborted) return Promise.reject(new Over());
    const answer: unknown = Reflect.apply(call, of, parameters);
    if (!(answer instanceof Promise)) return answer;
    return answer.then(
      (value: unknown) => {
        if (signal.aborted) throw new Over();
        return value;
      },
      (error: unknown) => {
        throw signal.aborted ? new Over() : error;
      },
    );
  };
}
