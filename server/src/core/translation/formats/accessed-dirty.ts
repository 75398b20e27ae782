/**
 * Accessed and dirty flags that the hardware keeps in entries, and what a space does that tracks writes by them. All of them are in an entry's low
 * half, in every format.
 */
import { ACCESS, alignedDown } from '../../base/index.ts';
import { PAGE_WORDS_LG2, type TablePool } from '../table-pool.ts';
import { KIND, type AccessedDirty, type Entry, type Format, type LeafSize } from './format.ts';

/**
 * The format as hardware that keeps the flags walks it: an entry has the rights that it has once its flags are set. `tracked`: leaves are written clean,
 * so that the first write to each shows.
 */
export function withFlags(format: Format, tracked: boolean): Format {
  const { flags } = format;
  return {
    ...format,
    decode: (low, high, level, into) => {
      format.decode(low, high, level, into);
      if (into.kind === KIND.table) return;
      format.decode(flags.dirtied(flags.accessed(low, high, level), high, level), high, level, into);
    },
    putLeaf: (words, at, page, access, size, slot) => {
      format.putLeaf(words, at, page, access, size, slot);
      if (!tracked || (access & ACCESS.write) === 0) return;
      words[at + 1] = words[at + 1]! | flags.trackedHigh;
      words[at] = flags.cleaned(words[at]!, words[at + 1]!);
    },
  };
}

/** A leaf that {@link DirtyReader} found dirty: its first input page, and how many it has. Both in 4 KiB. */
export type OnDirty = (first: number, pages: number) => void;

/**
 * Tells of every dirty leaf that lies in a range of input pages, or partly in it, in rising order; and where `clear`, makes it clean. A leaf of
 * several entries is dirty when one of them is: the hardware marks the one that it walked through.
 */
export class DirtyReader {
  readonly #format: Format;
  readonly #pool: TablePool;
  readonly #entry: Entry = { kind: 0, page: 0, nextLevel: 0, sizeLg2: 0, rights: 0 };

  constructor(format: Format, pool: TablePool) {
    this.#format = format;
    this.#pool = pool;
  }

  read(table: number, level: number, first: number, pages: number, clear: boolean, onDirty: OnDirty): void {
    const { spanLg2, indexLg2, flags } = this.#format;
    const span = 2 ** spanLg2[level]!;
    const end = first + pages;
    let page = alignedDown(first, spanLg2[level]!);
    while (page < end) {
      const at = (table << PAGE_WORDS_LG2) + (Math.floor(page / span) % 2 ** indexLg2[level]!) * 2;
      const { words } = this.#pool;
      this.#format.decode(words[at]!, words[at + 1]!, level, this.#entry);
      const { kind, page: below } = this.#entry;
      if (kind === KIND.table) {
        const from = Math.max(page, first);
        this.read(below, level - 1, from, Math.min(page + span, end) - from, clear, onDirty);
        page += span;
      } else if (kind === KIND.leaf) {
        const size = this.#leafAt(at, level);
        const start = alignedDown(page, size.sizeLg2);
        const slot = at - ((page - start) / span) * 2;
        if (anyDirty(words, slot, size.slots, flags, clear)) onDirty(start, 2 ** size.sizeLg2);
        page = start + 2 ** size.sizeLg2;
      } else {
        page += span;
      }
    }
  }

  #leafAt(at: number, level: number): Pick<LeafSize, 'sizeLg2' | 'slots'> {
    const { words } = this.#pool;
    const sizeLg2 = Math.max(this.#entry.sizeLg2, this.#format.groupOf?.(words[at]!, words[at + 1]!, level) ?? 0);
    return { sizeLg2, slots: 2 ** (sizeLg2 - this.#format.spanLg2[level]!) };
  }
}

function anyDirty(words: Int32Array, at: number, slots: number, flags: AccessedDirty, clear: boolean): boolean {
  let dirty = false;
  for (let slot = 0; slot < slots; slot++) {
    const low = words[at + slot * 2]!;
    const high = words[at + slot * 2 + 1]!;
    if (!flags.isDirty(low, high)) continue;
    dirty = true;
    if (clear) words[at + slot * 2] = flags.cleaned(low, high);
  }
  return dirty;
}
