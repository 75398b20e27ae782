import type { Bdf, Pasid, StateFields } from '../base/index.ts';
import type { Context } from './address-space.ts';
import { contextKey } from './context-key.ts';
import type { GrantShadow } from './grant-shadow.ts';

/** The device contexts of a machine by small numbers, each the same one for the life of the machine. */
export class Contexts {
  readonly #list: Context[];
  readonly #shadow: GrantShadow;
  readonly #handles = new Map<number, number>();

  /** `list`: by handle; contexts are put there as they are first asked for. */
  constructor(list: Context[], shadow: GrantShadow) {
    this.#list = list;
    this.#shadow = shadow;
  }

  handleOf(bdf: Bdf, pasid: Pasid): number {
    const key = contextKey(bdf, pasid);
    const known = this.#handles.get(key);
    if (known !== undefined) return known;
    const handle = this.#list.push({ bdf, pasid, grants: this.#shadow.of(bdf), space: undefined, ats: false }) - 1;
    this.#handles.set(key, handle);
    return handle;
  }

  state(fields: StateFields): void {
    fields.keep('handles', this.#handles);
  }

  /** Undefined for one that nobody has asked for. */
  find(bdf: Bdf, pasid: Pasid): Context | undefined {
    return this.#list[this.#handles.get(contextKey(bdf, pasid)) ?? -1];
  }
}

/** The same words with as many zeros behind them. */
export function doubled(words: Int32Array): Int32Array<ArrayBuffer> {
  const more = new Int32Array(words.length * 2);
  more.set(words);
  return more;
}
