/**
 * I/O address spaces and the addresses of the DMA API against naive models that know every page: over random histories no two live areas overlap, none
 * lies in what is reserved, and tables say what the model says.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ioas, type Constraints } from '../../server/src/core/iommu/ioas.ts';
import { IovaSpace } from '../../server/src/core/iommu/iova.ts';

const PAGES = 64;
const PAGE = 4096n;
const OK = 0;

const spanOf = fc.record({ first: fc.nat({ max: PAGES - 1 }), pages: fc.integer({ min: 1, max: 9 }) });
type Span = { readonly first: number; readonly pages: number };

function pagesOf({ first, pages }: Span): number[] {
  return Array.from({ length: pages }, (_none, i) => first + i);
}
function toRange({ first, pages }: Span) {
  return { first: BigInt(first) * PAGE, last: BigInt(first + pages) * PAGE - 1n };
}

type IovaStep = { readonly alloc: number; readonly limit: number } | { readonly release: number };
const iovaSteps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ alloc: fc.integer({ min: 1, max: 40 }), limit: fc.integer({ min: 1, max: 2 * PAGES }) }) },
    { weight: 2, arbitrary: fc.record({ release: fc.nat() }) },
  ),
  { maxLength: 120 },
);

describe('addresses of the DMA API', () => {
  it('are apart, aligned, below their limit, not reserved, and refused only where there is no room', () => {
    fc.assert(
      fc.property(fc.array(spanOf, { maxLength: 4 }), iovaSteps, (reserved, steps) => {
        const space = new IovaSpace(PAGES);
        const taken = new Set<number>([0]);
        for (const span of reserved) {
          space.reserve(span.first, span.first + span.pages);
          for (const page of pagesOf(span)) taken.add(page);
        }
        const live: { readonly page: number; readonly pages: number }[] = [];
        for (const step of steps) applyIova(space, taken, live, step);
        expect(space.areas).toBe(live.length);
      }),
    );
  });
});

function applyIova(space: IovaSpace, taken: Set<number>, live: { page: number; pages: number }[], step: IovaStep): void {
  if ('release' in step) {
    const [area] = live.length === 0 ? [] : live.splice(step.release % live.length, 1);
    if (area === undefined) return;
    space.release(area.page);
    for (const page of pagesOf({ first: area.page, pages: area.pages })) taken.delete(page);
    return;
  }
  const { alloc, limit } = step;
  let alignment = 1;
  while (alignment < alloc) alignment *= 2;
  const pages = alloc < 32 ? alignment : alloc;
  const places: number[] = [];
  for (let at = 0; at + pages <= Math.min(limit, PAGES); at += alignment) {
    if (pagesOf({ first: at, pages }).every((page) => !taken.has(page))) places.push(at);
  }
  const page = space.alloc(alloc, limit);
  expect(page).toBe(places.at(-1));
  if (page === undefined) return;
  live.push({ page, pages });
  for (const each of pagesOf({ first: page, pages })) taken.add(each);
}

type IoasStep =
  | { readonly map: Span }
  | { readonly auto: number; readonly address: number }
  | { readonly unmap: Span }
  | { readonly copy: Span }
  | { readonly allow: readonly Span[] }
  | { readonly reserve: Span };
const ioasSteps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ map: spanOf }) },
    { weight: 4, arbitrary: fc.record({ auto: fc.integer({ min: 1, max: 9 }), address: fc.nat({ max: 64 }) }) },
    { weight: 3, arbitrary: fc.record({ unmap: spanOf }) },
    { weight: 2, arbitrary: fc.record({ copy: spanOf }) },
    { weight: 1, arbitrary: fc.record({ allow: fc.array(spanOf, { maxLength: 2 }) }) },
    { weight: 1, arbitrary: fc.record({ reserve: spanOf }) },
  ),
  { maxLength: 80 },
);

/** Every page by itself: its memory and the area that it belongs to. */
class NaiveIoas {
  readonly mapped = new Map<number, { readonly memory: number; readonly area: Span }>();
  readonly reserved = new Set<number>();
  allowed: number[] | undefined;
  nextMemory = 1000;

  readonly ioas = new Ioas(1);
  constraints: Constraints = { reserved: [], alignment: PAGE };

  apply(step: IoasStep): void {
    if ('map' in step) this.#map(step.map);
    else if ('auto' in step) this.#auto(step.auto, step.address);
    else if ('unmap' in step) this.#unmap(step.unmap);
    else if ('copy' in step) this.#copy(step.copy);
    else if ('allow' in step) this.#allow(step.allow);
    else this.#reserve(step.reserve);
  }

  #map(span: Span): void {
    const pages = pagesOf(span);
    const answer = pages.some((page) => this.reserved.has(page)) ? -22 : pages.some((page) => this.mapped.has(page)) ? -17 : OK;
    const { first, last } = toRange(span);
    expect(this.ioas.check(first, last - first + 1n, this.constraints)).toBe(answer);
    if (answer === OK) this.#insert(span, this.nextMemory++ * 16);
  }

  #auto(pages: number, address: number): void {
    const memory = address;
    const free = (page: number): boolean =>
      !this.mapped.has(page) && !this.reserved.has(page) && (this.allowed?.includes(page) ?? page > 0);
    let natural = 1;
    while (natural < pages) natural *= 2;
    const step = memory === 0 ? natural : Math.min(natural, memory & -memory);
    let expected: number | undefined;
    for (let at = 0; expected === undefined && at < 4 * PAGES; at += step) {
      if (pagesOf({ first: at, pages }).every(free) && this.#inOneWindow({ first: at, pages })) expected = at;
    }
    const iova = this.ioas.place(BigInt(pages) * PAGE, BigInt(memory) * PAGE, this.constraints);
    expect(iova).toBe(expected === undefined ? undefined : BigInt(expected) * PAGE);
    if (expected !== undefined) this.#insert({ first: expected, pages }, memory);
  }

  #windows: readonly Span[] = [];
  #inOneWindow({ first, pages }: Span): boolean {
    return (
      this.#windows.length === 0 || this.#windows.some((window) => first >= window.first && first + pages <= window.first + window.pages)
    );
  }

  #unmap(span: Span): void {
    const touched = new Set(pagesOf(span).flatMap((page) => this.mapped.get(page)?.area ?? []));
    const inOrder = [...touched].sort((a, b) => a.first - b.first);
    const cut = inOrder.findIndex((area) => area.first < span.first || area.first + area.pages > span.first + span.pages);
    const whole = cut < 0 ? inOrder : inOrder.slice(0, cut);
    const { areas, error } = this.ioas.within(toRange(span));
    expect(areas.map(({ first, last }) => ({ first, last }))).toEqual(whole.map(toRange));
    expect(error).toBe(cut >= 0 || whole.length === 0 ? -2 : OK);
    this.ioas.remove(new Set(areas));
    for (const area of whole) for (const page of pagesOf(area)) this.mapped.delete(page);
  }

  #copy(span: Span): void {
    const memory = pagesOf(span).map((page) => this.mapped.get(page)?.memory);
    const pieces = this.ioas.covering(toRange(span));
    const copied = pieces?.flatMap(({ first, last, address }) =>
      Array.from({ length: Number((last - first + 1n) / PAGE) }, (_none, i) => Number(address / PAGE) + i),
    );
    expect(copied).toEqual(memory.includes(undefined) ? undefined : memory);
  }

  #allow(spans: readonly Span[]): void {
    const pages = spans.flatMap(pagesOf);
    const answer = new Set(pages).size < pages.length ? -22 : pages.some((page) => this.reserved.has(page)) ? -98 : OK;
    expect(this.ioas.allow(spans.map(toRange), this.constraints)).toBe(answer);
    if (answer !== OK) return;
    this.allowed = spans.length === 0 ? undefined : pages;
    this.#windows = spans;
  }

  #reserve(span: Span): void {
    const inUse = pagesOf(span).some((page) => this.mapped.has(page) || this.allowed?.includes(page) === true);
    expect(this.ioas.mayReserve([toRange(span)])).toBe(inUse ? -98 : OK);
    if (inUse) return;
    for (const page of pagesOf(span)) this.reserved.add(page);
    this.constraints = { ...this.constraints, reserved: [...this.constraints.reserved, toRange(span)] };
  }

  #insert(span: Span, memory: number): void {
    this.ioas.insert({ ...toRange(span), address: BigInt(memory) * PAGE, access: 3, writable: true, leaving: false });
    for (const [i, page] of pagesOf(span).entries()) this.mapped.set(page, { memory: memory + i, area: span });
  }

  /** No two areas overlap, they are in order, and none is in what is reserved. */
  check(): void {
    let last = -1n;
    for (const area of this.ioas.areas) {
      expect(area.first).toBeGreaterThan(last);
      last = area.last;
      expect(this.constraints.reserved.some((range) => range.first <= area.last && area.first <= range.last)).toBe(false);
    }
    expect(this.ioas.areas.reduce((sum, area) => sum + Number((area.last - area.first + 1n) / PAGE), 0)).toBe(this.mapped.size);
  }
}

describe('an I/O address space', () => {
  it('answers as one that knows every page', () => {
    fc.assert(
      fc.property(ioasSteps, (steps) => {
        const naive = new NaiveIoas();
        for (const step of steps) {
          naive.apply(step);
          naive.check();
        }
      }),
      { numRuns: 400 },
    );
  });
});
