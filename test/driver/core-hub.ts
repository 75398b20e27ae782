/** A machine with its peers in one process: each input is followed by the delivery of what it left. */
import type { Granted, Role } from '../../client/src/index.ts';
import { readPluggedFunctions } from '../../server/src/app/topology/index.ts';
import { ModelError } from '../../server/src/core/base/index.ts';
import { Machine, graceOver, type Command, type MachineSpec, type PeerAnswer } from '../../server/src/core/machine/index.ts';
import { CoreChannel } from './core-channel.ts';

const PAGE_BYTES = [4096n, 2n << 20n, 1n << 30n];

export class CoreHub {
  readonly #machine: Machine;
  readonly #spec: MachineSpec;
  readonly #preset: string;
  readonly #channels = new Map<number, CoreChannel>();
  readonly #graceMs: number;
  #delivering = false;
  #closed = false;

  constructor(spec: MachineSpec, preset: string, graceMs = 30_000) {
    this.#graceMs = graceMs;
    this.#spec = spec;
    this.#preset = preset;
    this.#machine = new Machine(spec, { readFunctions: readPluggedFunctions });
    this.#machine.trace.listen((record) => {
      for (const channel of this.#channels.values()) channel.hear(record);
    });
  }

  attach(roles: readonly Role[]): CoreChannel {
    const granted: Granted = {
      roles,
      features: [],
      pageBytes: this.#spec.iommu === undefined ? [] : PAGE_BYTES,
      machine: this.#spec.name,
      preset: this.#preset,
      server: 'in-process',
    };
    const channel = new CoreChannel(this, granted);
    const has = (role: Role): boolean => roles.includes(role);
    const peer = this.#machine.peerAttach({ host: has('host'), device: has('device'), memory: has('memory'), observer: has('observer') });
    channel.peer = peer;
    this.#channels.set(peer, channel);
    return channel;
  }

  /** Throws ModelError, after `undo`, for a command that cannot be. */
  submit(peer: number, token: number, command: Command, undo: () => void): void {
    try {
      this.#machine.submit(peer, token, command);
    } catch (error) {
      if (error instanceof ModelError) undo();
      throw error;
    } finally {
      this.#deliver();
    }
  }

  answer(peer: number, token: number, answer: PeerAnswer): void {
    this.#machine.answer(peer, token, answer);
    this.#deliver();
  }

  leave(peer: number): void {
    this.#channels.delete(peer);
    this.#machine.peerDetach(peer);
    this.#deliver();
    setTimeout(() => this.#graceOver(peer), this.#graceMs).unref();
  }

  #graceOver(peer: number): void {
    const left = this.#machine.absent().filter((one) => one.peer === peer);
    if (this.#closed || left.length === 0) return;
    this.#machine.submit(0, 0, graceOver(left));
    this.#deliver();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
  }

  /** Oldest first, also what is left by an input that comes of a delivery. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    try {
      for (let items = this.#machine.takeOutbox(); items.length > 0; items = this.#machine.takeOutbox()) {
        for (const item of items) {
          const to = item.to === 'hosts' ? [...this.#channels.values()] : [this.#channels.get(item.to)];
          for (const channel of to) channel?.take(item);
        }
      }
    } finally {
      this.#delivering = false;
    }
  }
}
