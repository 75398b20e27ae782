/** Ranges of 64-bit I/O virtual addresses, as iommufd has them: both ends in. */
export interface IovaRange {
  readonly first: bigint;
  readonly last: bigint;
}

/** ULONG_MAX. */
export const IOVA_LAST = (1n << 64n) - 1n;

export function overlap(a: IovaRange, b: IovaRange): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** In rising order; those that overlap or touch are one. */
export function merge(ranges: readonly IovaRange[]): readonly IovaRange[] {
  const merged: IovaRange[] = [];
  for (const range of ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.first > last.last + 1n) merged.push(range);
    else if (range.last > last.last) merged[merged.length - 1] = { first: last.first, last: range.last };
  }
  return merged;
}

/** What of `within` is in none of them. */
export function gaps(ranges: readonly IovaRange[], within: IovaRange): readonly IovaRange[] {
  const holes: IovaRange[] = [];
  let { first } = within;
  for (const range of merge(ranges)) {
    if (range.last < first) continue;
    if (range.first > within.last) break;
    if (range.first > first) holes.push({ first, last: range.first - 1n });
    first = range.last + 1n;
  }
  if (first <= within.last) holes.push({ first, last: within.last });
  return holes;
}
