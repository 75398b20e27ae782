/** Sizes of BARs as `lspci -v` tells them; the hex of a dump does not. */

const UNITS: Readonly<Record<string, bigint>> = { '': 1n, K: 1n << 10n, M: 1n << 20n, G: 1n << 30n, T: 1n << 40n };
const ROM_INDEX = 6;
const SIZE = '[size=';

/**
 * Reads `Region 0: Memory at f7c00000 (64-bit, non-prefetchable) [size=128K]` and `Expansion ROM at … [size=64K]` into
 * `barBytes`; any other line changes nothing. Regions of virtual functions are indented deeper, and those that are marked
 * virtual or enhanced are in no BAR: they are left out.
 */
export function readRegionSize(line: string, barBytes: bigint[]): void {
  if (indentation(line) !== 8) return;
  const text = line.trimStart();
  const index = text.startsWith('Region ') && text[8] === ':' ? Number(text[7]) : text.startsWith('Expansion ROM at ') ? ROM_INDEX : -1;
  if (!(index >= 0 && index <= ROM_INDEX) || text.includes('[virtual]') || text.includes('[enhanced]')) return;
  const start = text.indexOf(SIZE);
  const end = text.indexOf(']', start);
  if (start < 0 || end < 0) return;
  const size = /^([0-9]{1,10})([KMGT]?)$/.exec(text.slice(start + SIZE.length, end));
  if (size === null) return;
  const bytes = BigInt(size[1] ?? '0') * (UNITS[size[2] ?? ''] ?? 1n);
  // Half of the address space is the most that a BAR can take.
  if (bytes >= 4n && bytes >> 64n === 0n && (bytes & (bytes - 1n)) === 0n) barBytes[index] = bytes;
}

/** Columns of white space, a tab reaching the next multiple of 8. */
function indentation(line: string): number {
  let column = 0;
  for (let i = 0; i < line.length && column <= 8; i++) {
    if (line[i] === '\t') column = (column + 8) & ~7;
    else if (line[i] === ' ') column += 1;
    else return column;
  }
  return column;
}
