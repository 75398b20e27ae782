import { describe, expect, it } from 'vitest';
import { Buffers } from '../../../server/src/rpc/index.ts';

const KIB = 1024;
const MIB = 1 << 20;

describe('buffers that are used again', () => {
  it('have as many bytes as were asked for', () => {
    const buffers = new Buffers();
    for (const bytes of [1, 100, 4 * KIB, 64 * KIB, 64 * KIB + 1, MIB]) {
      const one = buffers.take(bytes);
      expect(one.length).toBe(bytes);
      buffers.give(one);
    }
  });

  it('are lent to one at a time, and again when given back', () => {
    const buffers = new Buffers();
    const a = buffers.take(64 * KIB);
    const b = buffers.take(64 * KIB);
    expect(b.buffer).not.toBe(a.buffer);
    buffers.give(a);
    expect(buffers.take(60 * KIB).buffer).toBe(a.buffer);
    expect(buffers.take(64 * KIB).buffer).not.toBe(b.buffer);
  });

  it('come back once, also as a part of them, and nothing comes that was not lent', () => {
    const buffers = new Buffers();
    const lent = buffers.take(64 * KIB);
    buffers.give(lent.subarray(0, 10));
    buffers.give(lent);
    expect(buffers.take(64 * KIB).buffer).toBe(lent.buffer);
    expect(buffers.take(64 * KIB).buffer).not.toBe(lent.buffer);
    const strange = new Uint8Array(64 * KIB);
    buffers.give(strange);
    expect(buffers.take(64 * KIB).buffer).not.toBe(strange.buffer);
    const small = buffers.take(100);
    buffers.give(small);
    expect(buffers.take(100).buffer === small.buffer && buffers.take(100).byteOffset === small.byteOffset).toBe(false);
  });

  it('are kept up to 16 MiB', () => {
    const buffers = new Buffers();
    const lent = Array.from({ length: 20 }, () => buffers.take(MIB));
    for (const one of lent) buffers.give(one);
    const again = new Set(Array.from({ length: 20 }, () => buffers.take(MIB).buffer));
    expect(lent.filter(({ buffer }) => again.has(buffer)).length).toBe(16);
  });
});
