import { describe, expect, it } from 'vitest';
import { crc32, isPattern, patternBytes } from '../../../../server/src/core/devices/dma-probe/patterns.ts';

const [FILL, INCREMENT, RANDOM] = [0, 1, 2];

describe('patterns', () => {
  it('fill with a word, and count up by words, cut where the bytes end', () => {
    expect([...patternBytes(FILL, 0x0403_0201, 6)]).toEqual([1, 2, 3, 4, 1, 2]);
    expect([...patternBytes(INCREMENT, 0xffff_ffff, 9)]).toEqual([255, 255, 255, 255, 0, 0, 0, 0, 1]);
  });

  it('of chance are the same for a seed, and begin alike whatever their length', () => {
    const long = patternBytes(RANDOM, 7, 64);
    expect([...patternBytes(RANDOM, 7, 5)]).toEqual([...long.subarray(0, 5)]);
    expect([...patternBytes(RANDOM, 8, 64)]).not.toEqual([...long]);
    expect(new Set(long).size).toBeGreaterThan(40);
  });

  it('are three', () => {
    expect([FILL, INCREMENT, RANDOM, 3, -1].map(isPattern)).toEqual([true, true, true, false, false]);
  });
});

describe('crc32', () => {
  it('has the check value of CRC-32/ISO-HDLC, whole and in parts', () => {
    const digits = new TextEncoder().encode('123456789');
    expect(crc32(0, digits)).toBe(0xcbf4_3926);
    expect(crc32(crc32(0, digits.subarray(0, 4)), digits.subarray(4))).toBe(0xcbf4_3926);
    expect(crc32(0, new Uint8Array(0))).toBe(0);
  });
});
