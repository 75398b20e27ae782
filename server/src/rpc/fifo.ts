const COMPACT_AT = 1024;

/** A queue whose `shift` stays cheap however long it is: an array's moves what is left once it is large. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The oldest, left where it is. */
  peek(): T | undefined {
    return this.#items[this.#first];
  }

  /** From the oldest to the newest. */
  all(): readonly T[] {
    return this.#items.slice(this.#first) as T[];
  }

  /** Takes the oldest. */
  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (this.#first >= this.#items.length) return undefined;
    this.#items[this.#first++] = undefined;
    if (this.#first === this.#items.length) {
      this.#items.length = 0;
      this.#first = 0;
    } else if (this.#first >= COMPACT_AT && this.#first * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
  }
}
