import type { StateFields } from '../../base/index.ts';

/** The halves of an entry. */
export interface EntryWords {
  readonly low: number;
  readonly high: number;
}

const ENTRIES_PER_PAGE = 512;
const NONE: ReadonlyMap<number, EntryWords | undefined> = new Map();

/** What the entry at a byte offset in a physical page is known by: an exact double. */
export function entryKey(page: number, offset: number): number {
  return page * ENTRIES_PER_PAGE + (offset >>> 3);
}

/**
 * Entries of page tables in memory that peers own, and accessed and dirty flags that walks set in them. A walk does not wait for one: it ends in WAITING
 * with the entry's place here, and is done again, from the root, when the owner has answered. Answers are of one request's walk: another
 * reads for itself, as it may begin after the tables have changed.
 */
export class AwaitedEntries {
  /** The place of the entry that the last walk lacked, or has to write, where it is in no memory too; page -1: since {@link begin} none. */
  page = -1;
  offset = 0;
  /** The low half with the flags that it has to write there; undefined: it lacks the entry. */
  marked: number | undefined;
  /** By {@link entryKey}, for the walk that comes next; undefined: the owner gave none. */
  answers = NONE;
  #changes = 0;

  /** Rises with each invalidation and change of a context: what was read before may be what they are about. */
  get changes(): number {
    return this.#changes;
  }

  /** Walks that wait begin anew: none that is under way goes on past an invalidation with what it read before. */
  restart(): void {
    this.#changes++;
  }

  /** The next walk has these answers. */
  begin(answers: ReadonlyMap<number, EntryWords | undefined>): void {
    this.page = -1;
    this.answers = answers;
  }

  state(fields: StateFields): void {
    this.#changes = fields.field('changes', this.#changes);
  }

  forget(): void {
    this.answers = NONE;
  }
}
