import type { MachinePort } from '../core/machine/index.ts';

const MS_NS = 1e6;
/** The longest delay that a timer keeps exactly. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** Clock mode `real`: tells the machine how much real time has passed, before each input and when its next alarm is due. */
export class RealClock {
  readonly #machine: MachinePort;
  readonly #due: () => void;
  readonly #startMs = performance.now();
  readonly #startNs: number;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `due` is called when an alarm has come; it must lead to {@link pass}. `startNs`: what the machine's clock says now. */
  constructor(machine: MachinePort, due: () => void, startNs = 0) {
    this.#machine = machine;
    this.#startNs = startNs;
    this.#due = due;
  }

  /** Returns what time it is in the machine now. */
  pass(): number {
    const nowNs = this.#startNs + Math.round((performance.now() - this.#startMs) * MS_NS);
    this.#machine.passRealTime(nowNs);
    return nowNs;
  }

  /** Waits for the machine's next alarm, in place of what it waited for before. */
  arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const ns = this.#stopped ? undefined : this.#machine.nextAlarmNs();
    if (ns === undefined) return;
    this.#timer = setTimeout(this.#due, Math.min(Math.ceil(ns / MS_NS), TIMER_MS_MAX)).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
