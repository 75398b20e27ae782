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

const request = fc.record({
  page: fc.nat(PAGES - 1),
  unit: fc.nat(5),
  count: fc.integer({ min: 1, max: 8 }),
  access: fc.constantFrom(READ, READ_WRITE),
});

describe('a Translation Completion', () => {
  it('has a unit or more in each entry, of which each page has what it says, and no fewer entries than it can', () => {
    fc.assert(
      fc.property(fc.array(mapping, { maxLength: 6 }), request, (made, { page, unit, count, access }) => {
        const t = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
        const space = t.createSpace('paging');
        const leaves = new Map<number, Leaf>();
        for (const { first, count: pages, distance, access: rights } of made) {
          for (let at = first; at < Math.min(first + pages, PAGES) && !leaves.has(at); at++) {
            space.tables?.map(BigInt(at) << 12n, BigInt(at + distance) << 12n, 4096n, rights);
            leaves.set(at, { page: at + distance, access: rights });
          }
        }
        t.setContext(nic, NO_PASID, space, true);
        const granted = t.translationRequest(t.contextHandle(nic, NO_PASID), page, 0, access, false, unit, count) === 0;
        const expected: (readonly number[])[] = [];
        for (let at = alignedTo(page, unit); expected.length < count; at += 2 ** unit) {
          const entry = unitAt(leaves, at, unit, access);
          if (entry === undefined) break;
          expected.push(entry);
        }
        const entries = t.completion.map(({ low, high }) => [
          translationPage(low, high),
          translationPagesLg2(low, high),
          translationAccess(low),
        ]);
        same([granted, ...entries], [expected.length > 0, ...expected]);
        same(t.liveGrants(nic), new Set(expected.map(String)).size);
      }),
    );
  });
});

function alignedTo(page: number, lg2: number): number {
  return page - (page % 2 ** lg2);
}

/** Page, log2 of its pages and rights of what a unit may be granted as, of mappings that all have 4 KiB. */
function unitAt(leaves: ReadonlyMap<number, Leaf>, first: number, unit: number, asked: number): readonly number[] | undefined {
  const all = Array.from({ length: 2 ** unit }, (_, index) => leaves.get(first + index));
  const start = all[0]?.page ?? -1;
  if (start < 0 || start % 2 ** unit !== 0 || !all.every((leaf, index) => leaf?.page === start + index)) return undefined;
  const common = all.reduce((rights, leaf) => rights & (leaf?.access ?? 0), READ_WRITE);
  return [start, unit, common & (asked | READ)];
}
