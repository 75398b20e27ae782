import { describe, expect, it } from 'vitest';
import { readRegionSize } from '../../../server/src/core/pci/lspci-region.ts';

const NONE = [0n, 0n, 0n, 0n, 0n, 0n, 0n];

function sizes(line: string): bigint[] {
  const barBytes = [...NONE];
  readRegionSize(line, barBytes);
  return barBytes;
}

describe('readRegionSize', () => {
  it.each([
    ['\tRegion 0: Memory at f7c00000 (64-bit, non-prefetchable) [size=128K]', 0, 0x2_0000n],
    ['        Region 5: Memory at 88400000 (32-bit, non-prefetchable) [size=256M]', 5, 0x1000_0000n],
    ['\tRegion 4: I/O ports at 1400 [size=32]', 4, 32n],
    ['\tRegion 2: Memory at 2000000000 (64-bit, prefetchable) [disabled] [size=16G]', 2, 0x4_0000_0000n],
    ['\tExpansion ROM at f7d00000 [disabled] [size=64K]', 6, 0x1_0000n],
  ])('reads %s', (line, index, bytes) => {
    expect(sizes(line)[index]).toBe(bytes);
  });

  it.each([
    ['a region of a virtual function', '\t\tRegion 0: Memory at f7c00000 (64-bit, non-prefetchable) [size=16K]'],
    ['one that is in no BAR', '\tRegion 0: Memory at f7c00000 (64-bit) [virtual] [size=16K]'],
    ['one of Enhanced Allocation', '\tRegion 0: Memory at f7c00000 (64-bit) [enhanced] [size=16K]'],
    ['no size', '\tRegion 0: Memory at f7c00000 (64-bit, non-prefetchable)'],
    ['a size that no BAR has', '\tRegion 0: Memory at f7c00000 [size=3K]'],
    ['a size of more than 64 bits', '\tRegion 0: Memory at f7c00000 [size=8589934592T]'],
    ['an unfinished size', '\tRegion 0: Memory at f7c00000 [size=16K'],
    ['an unknown region', '\tRegion 7: Memory at f7c00000 [size=16K]'],
    ['no number', '\tRegion x: Memory at f7c00000 [size=16K]'],
    ['something else', '\tMemory behind bridge: 90000000-900fffff [size=1M]'],
  ])('reads nothing from %s', (_, line) => {
    expect(sizes(line)).toEqual(NONE);
  });
});
