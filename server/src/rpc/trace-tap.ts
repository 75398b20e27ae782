import type { TraceRecord, TraceSink } from '../core/base/index.ts';

/** A machine whose trace can be listened to; `Machine` is one. */
export interface TracedMachine {
  readonly trace: { listen(sink: TraceSink): () => void };
}

interface Listener {
  readonly wantsTrace: boolean;
  trace(record: TraceRecord): void;
}

/** Listens to a machine's trace while somebody wants it: nobody listening is what makes tracing free. */
export class TraceTap {
  readonly #trace: TracedMachine['trace'] | undefined;
  readonly #listeners: ReadonlyMap<number, Listener>;
  #stop: (() => void) | undefined;

  constructor(trace: TracedMachine['trace'] | undefined, listeners: ReadonlyMap<number, Listener>) {
    this.#trace = trace;
    this.#listeners = listeners;
  }

  /** To be called when a listener has come, gone or changed its mind. */
  update(): void {
    const wanted = [...this.#listeners.values()].some((listener) => listener.wantsTrace);
    if (!wanted) this.stop();
    else this.#stop ??= this.#trace?.listen((record) => this.#tell(record));
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #tell(record: TraceRecord): void {
    for (const listener of this.#listeners.values()) listener.trace(record);
  }
}
