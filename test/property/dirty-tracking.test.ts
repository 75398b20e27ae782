/** Dirty tracking of every format against sets of pages: whatever is mapped, accessed, read, cleared and turned off, in any order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../server/src/core/base/index.ts';
import { TrackedTables } from '../../server/src/core/translation/formats/tracked-tables.ts';
import { FORMAT_NAMES, STATUS, formatNamed, type Format } from '../../server/src/core/translation/index.ts';
import { same } from '../kit/same.ts';
import { poolFor } from '../unit/translation/formats/own-tables.ts';

const ARM = ['4k-48', '4k-40', '16k-48', '64k-48'].flatMap((rest) => [`arm-s1-${rest}`, `arm-s2-${rest}`]);
const READ = 1;
const WRITE = 2;
/** Pages of the granule that operations reach, from a base at the border of a level on. */
const ROOM = 1100;

/** Few, so that operations meet: in and about groups of 16 and 32, and a table's end. */
const page = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(0, 16, 32, 128, 511, 512, 513, 600));
const pages = fc.constantFrom(1, 2, 3, 16, 17, 32, 128, 512, 513);
const operation = fc.oneof(
  fc.record({
    kind: fc.constant('map' as const),
    page,
    pages,
    access: fc.constantFrom(READ, READ | WRITE, WRITE),
    skew: fc.nat({ max: 1 }),
  }),
  fc.record({ kind: fc.constant('access' as const), page, access: fc.constantFrom(0, READ, WRITE, READ | WRITE) }),
  fc.record({ kind: fc.constant('access' as const), page, access: fc.constant(WRITE) }),
  fc.record({ kind: fc.constant('read' as const), page, pages, clear: fc.boolean() }),
  fc.record({ kind: fc.constant('unmap' as const), page, pages }),
  fc.record({ kind: fc.constant('set' as const), on: fc.constantFrom(true, true, false) }),
);
type Op = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Leaf {
  readonly first: number;
  readonly pages: number;
  readonly access: number;
  dirty: boolean;
  /** Pages of it that were written themselves: another entry of the same leaf may be clean still. */
  readonly written: Set<number>;
}

function clean(leaf: Leaf): void {
  leaf.dirty = false;
  leaf.written.clear();
}

/** Two tables of the same operations: one tracks, and the other says what is mapped and how large its pages are. */
class Model {
  readonly leaves = new Map<number, Leaf>();
  on = false;

  /** As the tables have it: the sizes of pages are the format's business, and have a test of their own. */
  note(first: number, count: number, access: number, sizeAt: (at: number) => number): void {
    for (let at = first; at < first + count;) {
      const leaf: Leaf = { first: at, pages: sizeAt(at), access, dirty: false, written: new Set() };
      for (let i = 0; i < leaf.pages; i++) this.leaves.set(at + i, leaf);
      at += leaf.pages;
    }
  }

  forget(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.leaves.delete(first + i);
  }

  /** Leaves that a range touches, each once, in rising order. */
  touched(first: number, count: number): Leaf[] {
    return [...new Set(Array.from({ length: count }, (_none, i) => this.leaves.get(first + i)).filter((leaf) => leaf !== undefined))];
  }
}

class Run {
  readonly #tables: TrackedTables;
  readonly #model = new Model();
  readonly #granule: number;
  readonly #base: number;
  readonly #writeOnly: boolean;

  constructor(format: Format, base: number) {
    this.#tables = new TrackedTables(format, poolFor(format));
    this.#granule = 2 ** format.spanLg2[0]!;
    this.#base = base;
    this.#writeOnly = /^(vtd|amd|arm-s2)/.test(format.name);
  }

  step(op: Op): void {
    const model = this.#model;
    switch (op.kind) {
      case 'map': {
        const target = (1 << 12) + op.page + op.skew;
        const result = this.#tables.map(this.#address(op.page), this.#bytes(target), this.#bytes(op.pages), op.access);
        const rights = this.#writeOnly ? op.access : op.access | READ;
        if (result === 0) model.note(op.page, op.pages, rights, (at) => this.#sizeAt(at));
        break;
      }
      case 'unmap': {
        const undone = this.#tables.unmap(this.#address(op.page), this.#bytes(op.pages));
        model.forget(op.page, Number(undone / this.#bytes(1)));
        break;
      }
      case 'set':
        this.#tables.set(op.on);
        model.on = op.on;
        if (op.on) for (const leaf of model.leaves.values()) clean(leaf);
        break;
      case 'access':
        this.#access(op.page, op.access);
        break;
      case 'read':
        this.#read(op.page, op.pages, op.clear);
        break;
    }
  }

  #access(at: number, access: number): void {
    const number = this.#base + at * this.#granule;
    const status = this.#tables.walk(number | 0, Math.floor(number / 2 ** 32), access);
    const leaf = this.#model.leaves.get(at);
    if (leaf === undefined) {
      same(status, STATUS['not-present']);
      return;
    }
    const allowed = (leaf.access & access) === access;
    if (this.#model.on && allowed && (access & WRITE) !== 0) {
      leaf.dirty = true;
      leaf.written.add(at);
    }
    // What is found without the right to write was never written: a write asks again.
    const whole = [STATUS.performed, leaf.access];
    const hidden = [STATUS.performed, leaf.access & ~WRITE];
    const found = [status, this.#tables.foundAccess & (READ | WRITE)];
    if (!this.#model.on || !allowed || leaf.written.has(at)) same(found, whole);
    else if (leaf.dirty) expect([whole, hidden]).toContainEqual(found);
    else same(found, hidden);
  }

  #read(first: number, count: number, clear: boolean): void {
    const got: [number, number][] = [];
    const read = this.#tables.read(this.#address(first), this.#bytes(count), clear, (iova, bytes) => {
      got.push([Number((iova - this.#address(0)) / this.#bytes(1)), Number(bytes / this.#bytes(1))]);
    });
    const expected = this.#model.touched(first, count).filter(({ dirty }) => dirty);
    same([read, got], [true, expected.map((leaf) => [leaf.first, leaf.pages])]);
    if (clear) for (const leaf of expected) clean(leaf);
  }

  #sizeAt(at: number): number {
    const size = this.#tables.lookup(this.#address(at))!.pageBytes;
    // The walker does not say of a contiguous group that it is one.
    return Math.max(Number(size / this.#bytes(1)), this.#groupAt(at));
  }

  /** Granule pages of the largest page that the writer makes there: what an unmap of one page takes away. */
  #groupAt(at: number): number {
    const copy = this.#tables.lookup(this.#address(at))!;
    const undone = this.#tables.unmap(this.#address(at), this.#bytes(1));
    same(this.#tables.map(this.#address(at), copy.address, undone, this.#rightsOf(copy.access)), 0);
    return Number(undone / this.#bytes(1));
  }

  #rightsOf(access: number): number {
    return access & (READ | WRITE);
  }
  #bytes(count: number): bigint {
    return BigInt(count) * BigInt(this.#granule * PAGE_BYTES);
  }
  #address(at: number): bigint {
    return BigInt(this.#base) * BigInt(PAGE_BYTES) + this.#bytes(at);
  }
}

/** Where operations begin, in 4 KiB pages: at 0, and across the border of a table of the second level. */
function bases(format: Format): number[] {
  const last = 2 ** (format.inputBits - (format.signed ? 1 : 0)) - 2 * ROOM * 2 ** format.spanLg2[0]!;
  const across = 2 ** (format.spanLg2[1] ?? 0) * 511;
  return last > across && format.top > 1 ? [0, across] : [0];
}

const fits = (name: string): boolean => {
  const { inputBits, spanLg2 } = formatNamed(name)!;
  return 2 ** (inputBits - spanLg2[0]!) > 2 * ROOM;
};

describe('dirty tracking', () => {
  it.each([...FORMAT_NAMES, ...ARM].filter(fits))('%s: dirty is what was written since it was clean, page by page', (name) => {
    const format = formatNamed(name)!;
    fc.assert(
      fc.property(
        fc.array(operation, { minLength: 20, maxLength: 60, size: 'max' }),
        fc.constantFrom(...bases(format)),
        (operations, base) => {
          const run = new Run(format, base);
          run.step({ kind: 'set', on: true });
          for (const op of operations) run.step(op);
        },
      ),
      { numRuns: 40 },
    );
  });
});
