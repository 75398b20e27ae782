/** The calls that wait, by number, and who waits for whom. */
import type { StateFields } from '../../base/index.ts';
import type { AdvanceTask, Deferred, DmaTask, Operation, Origin, Pending } from '../state.ts';

type NewFields<T> = T extends Pending ? Omit<T, keyof Pending> : never;

export class OperationTable {
  readonly #byId = new Map<number, Operation>();
  /** Asked for in every step of the machine, which must not cost a pass over all that is in flight. */
  readonly #advances = new Set<AdvanceTask>();
  #nextId = 1;
  #ready: Operation[] = [];
  #readyDma: DmaTask[] = [];
  /** Operations that besides its requester await an invalidation, by the invalidation's id. */
  readonly invalidationWatchers = new Map<number, number[]>();
  /** Who holds a group's mutex, by group id, and the calls that wait for it, by number. */
  readonly mutexes = new Map<number, { holder: number; readonly queue: number[] }>();
  /** Resets that wait for locks, in the order in which they came. */
  readonly waitingResets: Deferred[] = [];

  start<T extends Operation>(origin: Origin, fields: NewFields<T>): T {
    const operation = { id: this.#nextId++, origin, pending: 0, completed: 0, timedOut: 0, alarm: 0, ...fields } as unknown as T;
    this.#byId.set(operation.id, operation);
    if (operation.kind === 'advance') this.#advances.add(operation);
    return operation;
  }

  /** The same for an operation whose fields are all there but the number, which is {@link nextId}: no copy is made. */
  add(operation: Operation): void {
    this.#byId.set(operation.id, operation);
  }

  nextId(): number {
    return this.#nextId++;
  }

  /** All that wait, in the order in which they began. */
  values(): IterableIterator<Operation> {
    return this.#byId.values();
  }

  get(id: number): Operation | undefined {
    return this.#byId.get(id);
  }

  /** The clock advances that wait, in the order in which they came. */
  get advances(): ReadonlySet<AdvanceTask> {
    return this.#advances;
  }

  /** Removes it; whatever it still watches wakes nobody. */
  end(operation: Operation): void {
    if (operation.kind === 'advance') this.#advances.delete(operation);
    this.#byId.delete(operation.id);
  }

  state(fields: StateFields): void {
    fields.keep('byId', this.#byId);
    fields.keep('advances', this.#advances);
    this.#nextId = fields.field('nextId', this.#nextId);
    this.#ready = fields.field('ready', this.#ready);
    this.#readyDma = fields.field('readyDma', this.#readyDma);
    fields.keep('invalidationWatchers', this.invalidationWatchers);
    fields.keep('mutexes', this.mutexes);
    fields.keep('waitingResets', this.waitingResets);
  }

  /** One of the things awaited has come; at zero the operation is ready. */
  settle(id: number): void {
    const operation = this.#byId.get(id);
    if (operation !== undefined) this.settleMany(operation, 1);
  }

  /** The same of so many at once, of an operation that has not ended. */
  settleMany(operation: Operation, came: number): void {
    if (came === 0) return;
    operation.pending -= came;
    if (operation.pending === 0) this.#ready.push(operation);
  }

  /** One request of a DMA has ended. They come in thousands: in a list of their own, so that code that V8 has made for them meets nothing else. */
  settleDma(task: DmaTask): void {
    if (--task.pending === 0) this.#readyDma.push(task);
  }

  /** Ready as it stands: nothing is awaited. */
  wake(operation: Operation): void {
    this.#ready.push(operation);
  }

  /** Before {@link takeReady}: a DMA is answered before what has waited for it. */
  takeReadyDma(): readonly DmaTask[] {
    if (this.#readyDma.length === 0) return NO_DMA;
    const ready = this.#readyDma;
    this.#readyDma = [];
    return ready;
  }

  takeReady(): readonly Operation[] {
    if (this.#ready.length === 0) return NONE;
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

const NONE: readonly Operation[] = [];
const NO_DMA: readonly DmaTask[] = [];
