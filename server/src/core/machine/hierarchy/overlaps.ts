/** Two functions that answer one address: hardware lets software do it, and then nobody knows which of them answers. */
import { formatBdf, hex, segmentOf } from '../../base/index.ts';
import type { Bar } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

interface Window {
  readonly fn: FunctionState;
  readonly bar: Bar;
  readonly first: bigint;
  readonly last: bigint;
}

/** Logs a warning for each BAR of another function that the function's own meet, as both decode now. */
export function warnOfOverlaps(m: Parts, fn: FunctionState): void {
  const own = windowsOf(fn);
  if (own.length === 0) return;
  for (const other of m.functionList) {
    if (other === fn || segmentOf(other.bdf) !== segmentOf(fn.bdf)) continue;
    for (const theirs of windowsOf(other)) {
      for (const mine of own) if (meet(mine, theirs)) m.outbox.log('warn', fn.bdf, `${named(mine)} overlaps ${named(theirs)}; both decode`);
    }
  }
}

/** What it decodes, as far as something tells a size. An address of 0 nobody has given. */
function windowsOf(fn: FunctionState): readonly Window[] {
  const windows: Window[] = [];
  for (const bar of fn.config.bars()) {
    if (bar.sizeLg2 < 0 || (fn.spec.barBytes?.[bar.index] ?? 0n) === 0n || !fn.config.decodes(bar)) continue;
    const first = fn.config.barAddress(bar);
    if (first !== 0n) windows.push({ fn, bar, first, last: first + (1n << BigInt(bar.sizeLg2)) - 1n });
  }
  return windows;
}

function meet(a: Window, b: Window): boolean {
  return (a.bar.kind === 'io') === (b.bar.kind === 'io') && a.first <= b.last && b.first <= a.last;
}

function named({ fn, bar, first, last }: Window): string {
  return `${bar.kind === 'rom' ? 'the ROM' : `BAR ${bar.index}`} of ${formatBdf(fn.bdf)} at ${hex(first)} to ${hex(last)}`;
}
