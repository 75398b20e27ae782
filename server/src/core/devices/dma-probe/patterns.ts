/** What a dma-probe writes, and its checksum of what it has moved. */
import { Prng } from '../../base/index.ts';
import { PATTERNS } from './registers.ts';

/** False where there is no such pattern. */
export function isPattern(pattern: number): boolean {
  return Object.values(PATTERNS).some(({ value }) => value === pattern);
}

/** The first `bytes` of the pattern. */
export function patternBytes(pattern: number, seed: number, bytes: number): Uint8Array {
  const words = Math.ceil(bytes / 4);
  const data = new Uint8Array(4 * words);
  const view = new DataView(data.buffer);
  const random = new Prng(seed);
  for (let word = 0; word < words; word++) {
    const value = pattern === PATTERNS.fill.value ? seed : pattern === PATTERNS.increment.value ? seed + word : random.next();
    view.setUint32(4 * word, value, true);
  }
  return data.subarray(0, bytes);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb8_8320 & -(crc & 1));
  return crc >>> 0;
});

/** CRC-32 (IEEE 802.3, reflected) of what `crc` is of, followed by these bytes; 0 is that of none. */
export function crc32(crc: number, data: Uint8Array): number {
  let sum = ~crc;
  for (const byte of data) sum = (sum >>> 8) ^ TABLE[(sum ^ byte) & 0xff]!;
  return ~sum >>> 0;
}
