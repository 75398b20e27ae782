/**
 * Calls that wait. Each is plain data with a phase; what it waits for counts down `pending`, and the machine resumes it at zero. There is no
 * promise and no callback, so a machine can be saved with any of them pending.
 */
import type { Bdf, DmaOperation, HoldPoint, Pasid, ResetMethod } from '../base/index.ts';
import type { Group, GroupDevice } from '../iommu/index.ts';
import type { Command, OnDeadline } from './command.ts';
import type { FunctionState } from './function-state.ts';
import type { PeerId } from './outgoing.ts';
import type { IndeterminateRange, WindowReport } from './reply.ts';

/** Who gets the reply: a call of a peer, or an operation that this one is a part of. */
export type Origin =
  | { readonly peer: PeerId; readonly token: number; readonly sinceNs: number }
  | { readonly operation: number; readonly sinceNs: number };

interface Pending {
  readonly id: number;
  readonly origin: Origin;
  /** Things awaited. */
  pending: number;
  /** Of the awaited invalidations. */
  completed: number;
  timedOut: number;
  /** The alarm it has set, 0 for none. */
  alarm: number;
}

/** One DMA operation of a function, split into requests. */
export interface DmaTask extends Pending {
  readonly kind: 'dma';
  readonly fn: FunctionState;
  readonly operation: DmaOperation;
  readonly iovaLow: number;
  readonly iovaHigh: number;
  readonly bytes: number;
  /** Write data or atomic operands in; read data or the old value out. The caller's until something holds the operation, then a copy. */
  data: Uint8Array;
  readonly pasid: Pasid;
  readonly context: number;
  readonly translated: boolean;
  readonly hold: HoldPoint | undefined;
  readonly holdNs: number;
  requests: number;
  /** Offset of the first byte that did not take effect; `bytes` when all did. */
  failedAt: number;
  /** Index into OUTCOMES, of the request at `failedAt`. */
  outcome: number;
  /** `translate`: what was granted. */
  grantPage: number;
  grantAccess: number;
  grantPages: number;
}

export interface UnmapTask extends Pending {
  readonly kind: 'unmap';
  readonly domain: number;
  readonly iova: bigint;
  readonly bytes: bigint;
}

/** An attach, detach or change of ownership: holds the group mutex until its invalidations have settled. */
export interface ChangeTask extends Pending {
  readonly kind: 'change';
  readonly group: Group;
}

export interface PrepareTask extends Pending {
  readonly kind: 'prepare';
  readonly fn: FunctionState;
  readonly device: GroupDevice;
  readonly token: string;
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
  /** In the ledger when the drain began. */
  inFlight: number;
  aborted: number;
  indeterminate: readonly IndeterminateRange[];
}

export type ResetPhase = 'start' | 'pending-wait' | 'prepare' | 'settling' | 'polling' | 'done';

/** pci_reset_function(), or with `whole` false only its trigger and readiness wait. */
export interface ResetTask extends Pending {
  readonly kind: 'reset';
  readonly fn: FunctionState;
  readonly method: ResetMethod;
  readonly whole: boolean;
  readonly window: boolean;
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
  phase: ResetPhase;
  /** Polls so far: index into the pending-wait times, or the next readiness delay in ms. */
  poll: number;
  pendingTimedOut: boolean;
  saved: Uint8Array | undefined;
  report: WindowReport;
  warning: string;
}

/** An access that a peer performs: client-owned memory for a host, or a remote function's register. */
export interface PeerAccessTask extends Pending {
  readonly kind: 'peer-access';
  readonly reply: 'region-read' | 'memory-read' | 'ok';
}

/** A BAR read whose reply waits until earlier posted writes of the function are performed. */
export interface BarReadTask extends Pending {
  readonly kind: 'bar-read';
  readonly fn: FunctionState;
  readonly region: number;
  readonly offset: number;
  readonly bytes: number;
}

/** `clock-advance` while a peer owes an answer. */
export interface AdvanceTask extends Pending {
  readonly kind: 'advance';
  readonly targetNs: number;
  readonly force: boolean;
}

export type Operation = DmaTask | UnmapTask | ChangeTask | PrepareTask | ResetTask | PeerAccessTask | BarReadTask | AdvanceTask;

/** A command that waits for the group mutex or a function's reset lock. */
export interface Deferred {
  readonly origin: Origin;
  readonly command: Command;
}

type NewFields<T> = T extends Pending ? Omit<T, keyof Pending> : never;

export class OperationTable {
  readonly #byId = new Map<number, Operation>();
  #nextId = 1;
  #ready: Operation[] = [];
  /** Operations that besides its requester await an invalidation, by the invalidation's id. */
  readonly invalidationWatchers = new Map<number, number[]>();
  /** Who holds a group's mutex, by group id, and the commands that wait for it. */
  readonly mutexes = new Map<number, { holder: number; readonly queue: Deferred[] }>();
  /** Commands that wait for a function's reset lock. */
  readonly resetQueues = new Map<Bdf, Deferred[]>();

  get size(): number {
    return this.#byId.size;
  }

  start<T extends Operation>(origin: Origin, fields: NewFields<T>): T {
    const operation = { id: this.#nextId++, origin, pending: 0, completed: 0, timedOut: 0, alarm: 0, ...fields } as unknown as T;
    this.#byId.set(operation.id, operation);
    return operation;
  }

  /** The same for an operation whose fields are all there but the number, which is {@link nextId}: no copy is made. */
  add(operation: Operation): void {
    this.#byId.set(operation.id, operation);
  }

  nextId(): number {
    return this.#nextId++;
  }

  get(id: number): Operation | undefined {
    return this.#byId.get(id);
  }

  values(): IterableIterator<Operation> {
    return this.#byId.values();
  }

  /** Removes it; whatever it still watches wakes nobody. */
  end(operation: Operation): void {
    this.#byId.delete(operation.id);
  }

  /** One of the things awaited has come; at zero the operation is ready. */
  settle(id: number): void {
    const operation = this.#byId.get(id);
    if (operation === undefined) return;
    if (--operation.pending === 0) this.#ready.push(operation);
  }

  /** Ready as it stands: nothing is awaited. */
  wake(operation: Operation): void {
    this.#ready.push(operation);
  }

  takeReady(): readonly Operation[] {
    if (this.#ready.length === 0) return NONE;
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

const NONE: readonly Operation[] = [];
