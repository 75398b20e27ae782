/** What a dma-probe writes, and its checksum of what it has moved. */
import { PATTERN } from './registers.ts';

export function isPattern(pattern: number): boolean {
  return Object.values<number>(PATTERN).includes(pattern);
}

/** The first `bytes` of the pattern. */
export function patternBytes(pattern: number, seed: number, bytes: number): Uint8Array {
  const data = new Uint8Array(4 * Math.ceil(bytes / 4));
  const view = new DataView(data.buffer);
  const draw = xoshiro128(seed);
  for (let at = 0; at < data.length; at += 4) {
    view.setUint32(at, pattern === PATTERN.fill ? seed : pattern === PATTERN.increment ? seed + at / 4 : draw(), true);
  }
  return data.subarray(0, bytes);
}

/** xoshiro128** by Blackman and Vigna, whose state are 4 draws of splitmix32 from the seed. */
function xoshiro128(seed: number): () => number {
  let x = seed;
  const splitmix32 = (): number => {
    x = (x + 0x9e37_79b9) | 0;
    let z = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return z ^ (z >>> 16);
  };
  let [a, b, c, d] = [splitmix32(), splitmix32(), splitmix32(), splitmix32()];
  return () => {
    const drawn = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11);
    return drawn;
  };
}

function rotated(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** CRC-32 (IEEE 802.3) of what `crc` is of, followed by these bytes; 0 is that of none. */
export function crc32(crc: number, data: Uint8Array): number {
  let sum = ~crc;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (0xedb8_8320 & -(sum & 1));
  }
  return ~sum >>> 0;
}
