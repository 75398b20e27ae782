import type { StateFields } from './saved-state.ts';

/** A bounded queue that drops its oldest item when full and counts what it dropped. */
export class Ring<T> {
  readonly #items: (T | undefined)[] = [];
  readonly #capacity: number;
  #first = 0;
  #length = 0;
  #dropped = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#length;
  }
  /** How many items were overwritten since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  push(item: T): void {
    const capacity = this.#capacity;
    this.#items[(this.#first + this.#length) % capacity] = item;
    if (this.#length === capacity) {
      this.#first = (this.#first + 1) % capacity;
      this.#dropped++;
    } else {
      this.#length++;
    }
  }

  state(fields: StateFields): void {
    fields.field('capacity', this.#capacity);
    fields.keep('items', this.#items);
    this.#first = fields.field('first', this.#first);
    this.#length = fields.field('length', this.#length);
    this.#dropped = fields.field('dropped', this.#dropped);
  }

  /** Oldest first. */
  *values(): Generator<T> {
    for (let i = 0; i < this.#length; i++) yield this.#items[(this.#first + i) % this.#capacity] as T;
  }
}
