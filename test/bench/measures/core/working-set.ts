/** The pages that the translation rows go through, as floors/c/translate.c has them: in IOVA one after the other, physically scattered. */
import { ACCESS, NO_PASID, Trace, addressOfPage, bdf } from '../../../../server/src/core/base/index.ts';
import { GuestMemory } from '../../../../server/src/core/memory/index.ts';
import { X86Tables } from '../../../../server/src/core/translation/formats/x86-64-tables.ts';
import { Translation } from '../../../../server/src/core/translation/index.ts';
import { TablePool } from '../../../../server/src/core/translation/table-pool.ts';

export const FIRST_IOVA_PAGE = 0x10_0000;
/** Where the generator of the order begins. */
export const SEED = 0x2545_f491;
/** Functions that share the pages of `path`, each with a space of its own. */
const CONTEXTS = 4;
const FIRST_PAGE = 0x10_0000;
/** Odd, so that it gives each page of 4 GiB once; no two neighbours are contiguous, as in the buffers of a kernel that has run a while. */
const SCATTER = 0x9_e375;
const SCATTERED_PAGES_MASK = 2 ** 20 - 1;
const PAGE = addressOfPage(1);

/** Marsaglia's xorshift with 32 bits, signed: cheap beside what is measured, and the same in C. */
export function xorshift(state: number): number {
  let x = state;
  x ^= x << 13;
  x ^= x >>> 17;
  return x ^ (x << 5);
}

/** `pages`: a power of two. */
export function scatteredTables(pages: number): X86Tables {
  const tables = new X86Tables(new TablePool());
  for (let index = 0; index < pages; index++) mapPage(tables, index);
  return tables;
}

export interface WorkingSet {
  readonly translation: Translation;
  /** Handles: page `index` is mapped in the space of `contexts[index % contexts.length]`. */
  readonly contexts: Int32Array;
}

/** `pages`: a power of two. */
export function workingSet(pages: number, contexts: 1 | typeof CONTEXTS): WorkingSet {
  const translation = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
  const handles = Array.from({ length: contexts }, (_, number) => {
    const at = bdf(0, 0, number + 2, 0);
    const space = translation.createSpace('paging');
    const { tables } = space;
    if (tables === undefined) throw new Error('a paging space without tables');
    for (let index = number; index < pages; index += contexts) mapPage(tables, index);
    translation.setContext(at, NO_PASID, space, false);
    return translation.contextHandle(at, NO_PASID);
  });
  return { translation, contexts: Int32Array.from(handles) };
}

function mapPage(tables: Pick<X86Tables, 'map'>, index: number): void {
  const page = FIRST_PAGE + (Math.imul(index, SCATTER) & SCATTERED_PAGES_MASK);
  const error = tables.map(addressOfPage(FIRST_IOVA_PAGE + index), addressOfPage(page), PAGE, ACCESS.readWrite);
  if (error !== 0) throw new Error(`page ${index} is not mapped: ${error}`);
}
