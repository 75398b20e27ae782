/** Page tables and the IOTLB against a Map of pages: whatever is mapped, unmapped and translated, in any order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_PASID, Trace, bdf } from '../../server/src/core/base/index.ts';
import { GuestMemory } from '../../server/src/core/memory/index.ts';
import { STATUS, Translation, type AddressSpace } from '../../server/src/core/translation/index.ts';
import { same } from '../kit/same.ts';

const PAGE = 4096n;
const LARGE_PAGES = 512;
const CANONICAL_PAGES = 2 ** 36;
const ALL_PAGES = 2 ** 52;
const EXECUTE = 4;
const EINVAL = -22;
const EADDRINUSE = -98;
const nic = bdf(0, 0, 2, 0);

/** Where the ranges begin, in pages: both ends of both halves, a table's border, and a place whose low bits equal another's. */
const BASES = [0, LARGE_PAGES * 3, 2 ** 32, 2 ** 35 - 2 * LARGE_PAGES, ALL_PAGES - 2 ** 35, ALL_PAGES - 2 * LARGE_PAGES];

interface Leaf {
  readonly page: number;
  readonly access: number;
  /** First page and size of the leaf that it belongs to. */
  readonly first: number;
  readonly pages: number;
}
/** What one space maps, page by page, and what the IOTLB may still answer. */
class Model {
  readonly mapped = new Map<number, Leaf>();
  readonly stale = new Map<number, Set<number>>();

  map(iova: number, target: number, pages: number, access: number): number {
    if (pages === 0 || !canonical(iova) || !canonical(iova + pages - 1) || half(iova) !== half(iova + pages - 1)) return EINVAL;
    for (let i = 0; i < pages; i++) if (this.mapped.has(iova + i)) return EADDRINUSE;
    let i = 0;
    while (i < pages) {
      const large = (iova + i) % LARGE_PAGES === 0 && (target + i) % LARGE_PAGES === 0 && pages - i >= LARGE_PAGES;
      const size = large ? LARGE_PAGES : 1;
      for (let j = i; j < i + size; j++) this.mapped.set(iova + j, { page: target + j, access: access | 1, first: iova + i, pages: size });
      i += size;
    }
    return 0;
  }

  unmap(iova: number, pages: number): number {
    let undone = 0;
    while (undone < pages) {
      const leaf = this.mapped.get(iova + undone);
      if (leaf === undefined || leaf.first !== iova + undone) break;
      for (let j = 0; j < leaf.pages; j++) this.#drop(iova + undone + j);
      undone += leaf.pages;
    }
    return undone;
  }

  invalidate(iova: number, pages: number): void {
    for (let i = 0; i < pages; i++) this.stale.delete(iova + i);
  }

  #drop(at: number): void {
    const leaf = this.mapped.get(at);
    if (leaf === undefined) return;
    const stale = this.stale.get(at) ?? new Set();
    this.stale.set(at, stale.add(leaf.page));
    this.mapped.delete(at);
  }
}

function canonical(page: number): boolean {
  return page < CANONICAL_PAGES / 2 || (page >= ALL_PAGES - CANONICAL_PAGES / 2 && page < ALL_PAGES);
}
function outcomeOf(leaf: Leaf | undefined, access: number): 'not-present' | 'not-permitted' | 'performed' {
  if (leaf === undefined) return 'not-present';
  return (leaf.access & access) === access ? 'performed' : 'not-permitted';
}
function half(page: number): boolean {
  return page < ALL_PAGES / 2;
}
function address(page: number): bigint {
  return BigInt(page) * PAGE;
}

const place = fc.tuple(fc.constantFrom(...BASES), fc.nat(2 * LARGE_PAGES + 8)).map(([base, offset]) => base + offset);
/** Places and sizes that make large pages likely. */
const start = fc.oneof(place, fc.constantFrom(...BASES.flatMap((base) => [base, base + LARGE_PAGES])));
const size = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom(LARGE_PAGES, LARGE_PAGES + 1, 2 * LARGE_PAGES));
const target = fc.oneof(
  fc.nat(2 ** 30),
  fc.nat(1000).map((n) => n * LARGE_PAGES),
  fc.constant(2 ** 40 - 2 * LARGE_PAGES),
);
const space = fc.nat(1);
const operation = fc.oneof(
  fc.record({ kind: fc.constant('map' as const), space, iova: start, target, pages: size, access: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('unmap' as const), space, iova: start, pages: size }),
  fc.record({ kind: fc.constant('invalidate' as const), space, iova: start, pages: size }),
  fc.record({ kind: fc.constant('invalidate-space' as const), space }),
  fc.record({
    kind: fc.constant('translate' as const),
    space,
    iova: place,
    pages: fc.integer({ min: 1, max: 40 }),
    access: fc.integer({ min: 1, max: 3 }),
  }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** Two spaces, each behind a context of its own, beside their models. */
class Machine {
  readonly translation = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
  readonly spaces: readonly AddressSpace[] = [0, 1].map(() => this.translation.createSpace('paging'));
  readonly models = [new Model(), new Model()];
  readonly contexts = [0, 1].map((fn) => this.translation.contextHandle(bdf(0, 0, 2, fn), NO_PASID));

  constructor() {
    for (const [fn, own] of this.spaces.entries()) this.translation.setContext(bdf(0, 0, 2, fn), NO_PASID, own, true);
  }

  run(op: Operation): void {
    const model = this.models[op.space]!;
    const own = this.spaces[op.space]!;
    const tables = own.tables!;
    switch (op.kind) {
      case 'map':
        same(
          tables.map(address(op.iova), address(op.target), address(op.pages), op.access),
          model.map(op.iova, op.target, op.pages, op.access === 1 ? 1 : 3),
        );
        break;
      case 'unmap': {
        const possible = canonical(op.iova) && canonical(op.iova + op.pages - 1);
        same(tables.unmap(address(op.iova), address(op.pages)), address(possible ? model.unmap(op.iova, op.pages) : 0));
        break;
      }
      case 'invalidate':
        this.translation.invalidateRange(own, address(op.iova), address(op.pages));
        model.invalidate(op.iova, op.pages);
        break;
      case 'invalidate-space':
        this.translation.invalidateSpace(own);
        model.stale.clear();
        break;
      case 'translate':
        for (let i = 0; i < op.pages; i++) this.translate(op.space, op.iova + i, op.access);
        break;
    }
    same(tables.mappedBytes, address(model.mapped.size));
  }

  translate(fn: number, iova: number, access: number): void {
    const { translation: t } = this;
    const model = this.models[fn]!;
    const status = t.translate(this.contexts[fn]!, iova | 0, Math.floor((iova % ALL_PAGES) / 2 ** 32), access);
    if (iova >= ALL_PAGES) return;
    const leaf = model.mapped.get(iova);
    const stale = model.stale.get(iova);
    if (status === STATUS.performed && stale?.has(t.resultPage) === true) return;
    const expected = !canonical(iova) ? 'not-canonical' : outcomeOf(leaf, access);
    same(status, STATUS[expected], `page ${iova}`);
    if (status !== STATUS.performed) return;
    same([t.resultPage, t.resultAccess, 2 ** t.resultPagesLg2], [leaf?.page, (leaf?.access ?? 0) | EXECUTE, leaf?.pages]);
  }

  /** With nothing stale left, every page answers as the model says, also those beside it. */
  settle(): void {
    for (const [fn, own] of this.spaces.entries()) {
      const model = this.models[fn]!;
      for (const [iova] of model.stale) this.translation.invalidateRange(own, address(iova), PAGE);
      const pages = new Set([...model.stale.keys(), ...model.mapped.keys()].flatMap((page) => [page - 1, page, page + 1]));
      model.stale.clear();
      for (const iova of pages) if (iova >= 0) this.translate(fn, iova, 1);
    }
  }
}

describe('page tables and the IOTLB', () => {
  it('answer as a Map of pages does; an old page only until its invalidation', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const machine = new Machine();
        for (const op of operations) machine.run(op);
        machine.settle();
      }),
      { numRuns: 300 },
    );
  });

  it('look up what they translate, byte by byte', () => {
    fc.assert(
      fc.property(start, target, size, fc.bigInt({ min: 0n, max: 4095n }), (iova, page, pages, offset) => {
        const t = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
        const { tables } = t.createSpace('paging');
        fc.pre(tables?.map(address(iova), address(page), address(pages), 3) === 0);
        expect(tables.lookup(address(iova) + offset)?.address).toBe(address(page) + offset);
        expect(tables.lookup(address(iova + pages) - 1n)?.address).toBe(address(page + pages) - 1n);
        expect(tables.unmap(address(iova), address(pages))).toBe(address(pages));
        expect(tables.lookup(address(iova) + offset)).toBeUndefined();
      }),
    );
  });
});

describe('grants', () => {
  const event = fc.record({
    kind: fc.constantFrom('grant' as const, 'revoke' as const),
    pasid: fc.integer({ min: -1, max: 1 }),
    page: fc.nat(5),
    pages: fc.constantFrom(1, 2, Infinity),
    access: fc.constantFrom(1, 3),
  });

  it('cover a physical page exactly while one of them lives', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const t = new Translation({ trace: new Trace(() => 0), now: () => 0, memory: new GuestMemory([]) });
        const own = t.createSpace('paging');
        // Pages 0 to 2 and 3 to 5 are the same memory.
        for (const base of [0, 3]) own.tables?.map(address(base), address(100), 3n * PAGE, 3);
        const pasids = [-1, 0, 1] as (typeof NO_PASID)[];
        for (const id of pasids) t.setContext(nic, id, own, true);
        let live: { pasid: number; page: number; access: number }[] = [];
        for (const { kind, pasid, page, pages, access } of events) {
          const id = pasid as typeof NO_PASID;
          if (kind === 'grant') {
            same(t.translationRequest(t.contextHandle(nic, id), page, 0, access), 0);
            if (!live.some((g) => g.pasid === pasid && g.page === page && g.access === access)) live.push({ pasid, page, access });
          } else {
            const left = live.filter((g) =>
              g.pasid === pasid ? pages !== Infinity && (g.page < page || g.page >= page + pages) : pasid !== -1,
            );
            same(t.revokeGrants(nic, id, page, pages, 'invalidated'), live.length - left.length);
            live = left;
          }
          same(t.liveGrants(nic), live.length);
          for (let physical = 99; physical < 104; physical++) {
            for (const need of [1, 2, 3]) {
              const covered = live.some((g) => 100 + (g.page % 3) === physical && (g.access & need) === need);
              const status = t.translatedRequest(t.contextHandle(nic, NO_PASID), physical, need);
              same(status, STATUS[covered ? 'performed' : 'stale-atc']);
            }
          }
        }
      }),
    );
  });
});
