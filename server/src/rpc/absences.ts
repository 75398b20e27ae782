import type { Absent, MachinePort, PeerId } from '../core/machine/index.ts';

/** The grace time of what peers that vanished have left, by wall clock: one timer for each peer. */
export class Absences {
  readonly #machine: Pick<MachinePort, 'absent'>;
  readonly #graceMs: number;
  readonly #over: (left: readonly Absent[]) => void;
  readonly #timers = new Map<PeerId, NodeJS.Timeout>();

  /** `over` is told of what one peer has left and nobody has claimed in time. */
  constructor(machine: Pick<MachinePort, 'absent'>, graceMs: number, over: (left: readonly Absent[]) => void) {
    this.#machine = machine;
    this.#graceMs = graceMs;
    this.#over = over;
  }

  /** A peer has gone: the time of what it left begins. */
  watch(): void {
    for (const { peer } of this.#machine.absent()) {
      if (this.#timers.has(peer)) continue;
      this.#timers.set(peer, setTimeout(() => this.#ring(peer), this.#graceMs).unref());
    }
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #ring(peer: PeerId): void {
    this.#timers.delete(peer);
    const left = this.#machine.absent().filter((one) => one.peer === peer);
    if (left.length > 0) this.#over(left);
  }
}
