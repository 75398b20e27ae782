/** What Translation Completions say of random mappings is true of each of their pages, whatever the function's Smallest Translation Unit. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { NO_PASID, Trace, bdf, translationAccess, translationPage, translationPagesLg2 } from '../../server/src/core/base/index.ts';
import { GuestMemory } from '../../server/src/core/memory/index.ts';
import { Translation } from '../../server/src/core/translation/index.ts';
import { same } from '../kit/same.ts';

const nic = bdf(0, 0, 2, 0);
const PAGES = 64;
const READ = 1;
const READ_WRITE = 3;

/** A run of pages, a distance from IOVA to physical page that is rarely a multiple of a unit, and rights. */
const mapping = fc.record({
  first: fc.nat(PAGES - 1),
  count: fc.integer({ min: 1, max: PAGES }),
  distance: fc.constantFrom(0x1000, 0x1000, 0x2000, 0x1008),
  access: fc.constantFrom(READ_WRITE, READ_WRITE, READ),
});

/** What page tables with these mappings have, page by page. */
interface Leaf {
  readonly page: number;
  readonly access: number;
}

describe('a Translation Completion', () => {
  it('has a unit or more, and each page of it has what it says', () => {
    fc.assert(
      fc.property(
        fc.array(mapping, { maxLength: 6 }),
        fc.nat(PAGES - 1),
        fc.nat(5),
        fc.constantFrom(READ, READ_WRITE),
        (made, page, unit, access) => {
          const t = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
          const space = t.createSpace('paging');
          const leaves = new Map<number, Leaf>();
          for (const { first, count, distance, access: rights } of made) {
            for (let at = first; at < Math.min(first + count, PAGES) && !leaves.has(at); at++) {
              space.tables?.map(BigInt(at) << 12n, BigInt(at + distance) << 12n, 4096n, rights);
              leaves.set(at, { page: at + distance, access: rights });
            }
          }
          t.setContext(nic, NO_PASID, space, true);
          const granted = t.translationRequest(t.contextHandle(nic, NO_PASID), page, 0, access, false, unit) === 0;
          const size = 2 ** unit;
          const first = page - (page % size);
          const all = Array.from({ length: size }, (_, index) => leaves.get(first + index));
          const start = all[0]?.page ?? -1;
          same(granted, start >= 0 && start % size === 0 && all.every((leaf, index) => leaf?.page === start + index));
          if (!granted) return;
          const { low, high } = t.completion;
          same([translationPage(low, high), translationPagesLg2(low, high)], [start, unit]);
          const common = all.reduce((rights, leaf) => rights & (leaf?.access ?? 0), READ_WRITE);
          same(translationAccess(low), common & (access | READ));
          same(t.liveGrants(nic), 1);
        },
      ),
    );
  });
});
