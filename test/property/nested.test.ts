/** Nested translation against two Maps, one after the other: pages, rights, sizes, the stage that refuses, and the flags that both stages keep. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../server/src/core/base/index.ts';
import { GuestMemory } from '../../server/src/core/memory/index.ts';
import { DirtyReader, withFlags } from '../../server/src/core/translation/formats/accessed-dirty.ts';
import { RamMemory } from '../../server/src/core/translation/formats/guest-tables.ts';
import { NestedTables } from '../../server/src/core/translation/formats/nested-tables.ts';
import { TrackedTables } from '../../server/src/core/translation/formats/tracked-tables.ts';
import { RadixTables, STATUS, TablePool, formatNamed, type Format } from '../../server/src/core/translation/index.ts';
import { poolFor } from '../unit/translation/formats/own-tables.ts';

const PAIRS = [
  ['x86-64', 'vtd-second-stage-4level'],
  ['x86-64-5level', 'amd-v1-4level'],
  ['riscv-sv39', 'riscv-sv48x4'],
  ['arm-s1-4k-48', 'arm-s2-4k-40'],
] as const;
const READ = 1;
const WRITE = 2;
const READ_WRITE = 3;
/** Guest pages of the first stage's data; its tables are the guest's pages from 1 on. */
const DATA = 1024;
const TABLES_MAX = 64;
/** Host pages: of the guest's tables, and of its data. */
const HOST = 0x400;
const HOST_DATA = 0x1000;

const mapping = fc.record({
  from: fc.nat({ max: 40 }),
  to: fc.nat({ max: 40 }),
  pages: fc.constantFrom(1, 2, 3, 16),
  access: fc.constantFrom(READ, READ_WRITE, READ_WRITE, WRITE),
});
const request = fc.record({ page: fc.nat({ max: 56 }), access: fc.constantFrom(0, READ, WRITE, READ_WRITE) });
type Mapping = typeof mapping extends fc.Arbitrary<infer T> ? T : never;

interface Found {
  readonly page: number;
  readonly access: number;
}

class RootedTables extends RadixTables {
  get rootPage(): number {
    return this.root;
  }
}

function mapAll(
  tables: RadixTables,
  mappings: readonly Mapping[],
  toBase: number,
  fromBase: number,
  hasWriteOnly: boolean,
): Map<number, Found> {
  const map = new Map<number, Found>();
  const bytes = (page: number): bigint => BigInt(page) * BigInt(PAGE_BYTES);
  for (const { from, to, pages, access } of mappings) {
    if (tables.map(bytes(fromBase + from), bytes(toBase + to), bytes(pages), access) !== 0) continue;
    for (let i = 0; i < pages; i++) map.set(from + i, { page: to + i, access: hasWriteOnly ? access : access | READ });
  }
  return map;
}

/** Both stages of one machine: the guest's tables in memory, below which the second stage maps them page by page. */
class Stages {
  readonly nested: NestedTables;
  readonly second: TrackedTables;
  readonly one: Map<number, Found>;
  readonly two: Map<number, Found>;
  readonly #memory = new GuestMemory([{ address: BigInt(HOST) * 4096n, bytes: BigInt(TABLES_MAX) * 4096n }]);
  readonly #first: Format;
  readonly #pool = new TablePool(TABLES_MAX);
  readonly #root: number;

  constructor([first, second]: readonly [string, string], firstMaps: readonly Mapping[], secondMaps: readonly Mapping[]) {
    this.#first = withFlags(formatNamed(first)!, true);
    const tables = new RootedTables(this.#first, this.#pool);
    this.one = mapAll(tables, firstMaps, DATA, 0, false);
    this.#root = tables.rootPage;
    this.second = new TrackedTables(formatNamed(second)!, poolFor(formatNamed(second)!));
    for (let page = 0; page < TABLES_MAX; page++) {
      const to = BigInt(HOST + (page ^ 1)) * 4096n;
      expect(this.second.map(BigInt(page) * 4096n, to, 4096n, READ_WRITE)).toBe(0);
      const words = this.#pool.words.slice(page * 1024, (page + 1) * 1024);
      if (words.length > 0) this.#memory.writeBytes(to, new Uint8Array(words.buffer));
    }
    const hasWriteOnly = !second.startsWith('riscv');
    this.two = mapAll(this.second, secondMaps, HOST_DATA, DATA, hasWriteOnly);
    this.second.set(true);
    const root = BigInt(Math.max(this.#root, 0)) * 4096n;
    this.nested = new NestedTables(formatNamed(first)!, this.second, new RamMemory(this.#memory), root, true);
  }

  /** Pages that the second stage has seen written, tables and data. */
  dirtySecond(): number[] {
    const found: number[] = [];
    const all = BigInt(DATA + 64) * 4096n;
    this.second.read(0n, all, false, (iova, bytes) => {
      for (let at = iova; at < iova + bytes; at += 4096n) if (at >= BigInt(DATA) * 4096n) found.push(Number(at / 4096n) - DATA);
    });
    return found;
  }

  /** Leaves of the first stage that are dirty in the guest's memory, as ranges of pages. */
  dirtyFirst(): [number, number][] {
    for (let page = 0; (page + 1) * 1024 <= this.#pool.words.length; page++) {
      const bytes = this.#memory.readBytes(BigInt(HOST + (page ^ 1)) * 4096n, PAGE_BYTES);
      this.#pool.words.set(new Int32Array(bytes.buffer), page * 1024);
    }
    const found: [number, number][] = [];
    const reader = new DirtyReader(this.#first, this.#pool);
    if (this.#root > 0) reader.read(this.#root, this.#first.top, 0, 64, false, (first, pages) => found.push([first, pages]));
    return found;
  }
}

function check(stages: Stages, page: number, access: number): boolean {
  const { nested } = stages;
  const one = stages.one.get(page);
  const status = nested.walk(page, 0, access);
  if (one === undefined) {
    expect([status, nested.faultStage]).toEqual([STATUS['not-present'], 1]);
    return false;
  }
  if ((one.access & access) !== access) {
    expect([status, (nested.foundAccess & access) === access, nested.faultStage]).toEqual([STATUS.performed, false, 1]);
    return false;
  }
  const two = stages.two.get(one.page);
  if (two === undefined) {
    expect([status, nested.faultStage]).toEqual([STATUS['not-present'], 2]);
    return false;
  }
  const rights = one.access & two.access;
  if ((two.access & access) !== access) {
    const refused = nested.foundAccess === 0 || (nested.foundAccess & access) !== access;
    expect([status, refused, nested.faultStage]).toEqual([STATUS.performed, true, 2]);
    return false;
  }
  expect([status, nested.foundLow, nested.foundHigh]).toEqual([STATUS.performed, HOST_DATA + two.page, 0]);
  const found = nested.foundAccess & READ_WRITE;
  expect([rights, rights & ~WRITE]).toContain(found);
  expect(found & access).toBe(access);
  return true;
}

describe('nested translation', () => {
  it.each(PAIRS)('%s above %s answers as one Map after the other', (...pair) => {
    fc.assert(
      fc.property(
        fc.array(mapping, { minLength: 1, maxLength: 8, size: 'max' }),
        fc.array(mapping, { minLength: 4, maxLength: 12, size: 'max' }),
        fc.array(request, { minLength: 20, maxLength: 40, size: 'max' }),
        (firstMaps, secondMaps, requests) => {
          const stages = new Stages(pair, firstMaps, secondMaps);
          if (stages.one.size === 0) return;
          const written = new Set<number>();
          for (const { page, access } of requests) if (check(stages, page, access) && (access & WRITE) !== 0) written.add(page);
          const isDirty = (ranges: readonly [number, number][], at: number): boolean =>
            ranges.some(([from, pages]) => at >= from && at < from + pages);
          const first = stages.dirtyFirst();
          for (const page of written) expect(isDirty(first, page)).toBe(true);
          for (const [from, pages] of first) expect([...written].some((at) => at >= from && at < from + pages)).toBe(true);
          const second = new Set(stages.dirtySecond());
          for (const page of written) expect(second.has(stages.one.get(page)!.page)).toBe(true);
          if (written.size === 0) expect(second.size).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });
});
