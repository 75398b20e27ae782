/** Grants of every size in any order, as the function's ATC and the translation agent's shadow keep them, against plain lists. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { Atc } from '../../server/src/core/devices/atc.ts';
import { FunctionGrants } from '../../server/src/core/translation/grant-shadow.ts';
import { same } from '../kit/same.ts';

const NO_PASID = -1;
const PAGES = 32;
/** Entries and physical pages are kept apart from IOVA pages by this much. */
const PHYSICAL = 0x100;

const event = fc.record({
  grants: fc.boolean(),
  pasid: fc.integer({ min: NO_PASID, max: 1 }),
  page: fc.nat(PAGES - 1),
  lg2: fc.nat(4),
  target: fc.nat(PAGES - 1),
  access: fc.constantFrom(1, 2, 3),
  pages: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(Infinity)),
});
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

interface Granted {
  readonly pasid: number;
  readonly first: number;
  readonly end: number;
  readonly physical: number;
  readonly access: number;
}

function grantedBy({ pasid, page, lg2, target, access }: Event): Granted {
  const size = 2 ** lg2;
  const first = page - (page % size);
  return { pasid, first, end: first + size, physical: PHYSICAL + target - (target % size), access };
}
function survives({ pasid, page, pages }: Event, granted: Granted): boolean {
  if (pasid === NO_PASID && granted.pasid !== NO_PASID) return false;
  return granted.pasid !== pasid || (pages !== Infinity && (granted.end <= page || granted.first >= page + pages));
}
/** An entry's low half as PCIe §10.2.3 has it: S is bit 11, and of 2^n pages the n - 1 lowest address bits are ones. */
function entry({ physical, access }: Granted, lg2: number): number {
  return physical * 4096 + access + (lg2 === 0 ? 0 : 0x800 + (2 ** (lg2 - 1) - 1) * 4096);
}

describe('grants of every size', () => {
  it('cover, in the shadow, exactly the physical pages of those that live', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const shadow = new FunctionGrants();
        let live: Granted[] = [];
        for (const [index, made] of events.entries()) {
          if (made.grants) {
            const granted = grantedBy(made);
            shadow.add(made.pasid, made.page, granted.physical + (made.page - granted.first), made.access, 0, index, made.lg2);
            if (!live.some((other) => JSON.stringify(other) === JSON.stringify(granted))) live.push(granted);
          } else {
            const left = live.filter((granted) => survives(made, granted));
            const ended = shadow.revoke(made.pasid, made.page, made.pages, { nowNs: 0, why: 'invalidated', upTo: Infinity });
            same(ended, live.length - left.length);
            live = left;
          }
          same(shadow.live, live.length);
          for (let page = PHYSICAL - 1; page <= PHYSICAL + PAGES; page++) {
            const naming = live.filter(({ physical, first, end }) => page >= physical && page < physical + end - first);
            for (const need of [1, 2, 3]) {
              same(
                shadow.covers(page, need),
                naming.some(({ access }) => (access & need) === need),
              );
            }
          }
        }
      }),
    );
  });

  it('are found in an ATC by each of their pages until an invalidation overlaps', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const atc = new Atc();
        const kept = new Map<string, Granted>();
        for (const made of events) {
          const granted = grantedBy(made);
          if (made.grants) {
            atc.install(made.pasid as never, made.page, [{ low: entry(granted, made.lg2), high: 0 }]);
            kept.set(`${made.pasid} ${granted.first} ${granted.end}`, granted);
          } else {
            for (const [key, other] of kept) if (!survives(made, other)) kept.delete(key);
            atc.invalidate(made.pasid as never, NO_PASID as never, made.page, made.pages);
          }
          same(atc.entries, kept.size);
          for (let page = 0; page < PAGES; page++) {
            for (const pasid of [NO_PASID, 0, 1]) {
              const serving = [...kept.values()].filter(
                (g) => g.pasid === pasid && page >= g.first && page < g.end && (g.access & 2) !== 0,
              );
              const found = atc.lookup(pasid as never, page, 2);
              const right = serving.length === 0 ? [-1] : serving.map((g) => g.physical + page - g.first);
              same(right.includes(found), true, `page ${page} at ${found}, and not one of ${right.join(', ')}`);
            }
          }
        }
      }),
    );
  });
});
