import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { STATUS } from '../../../server/src/core/translation/index.ts';
import { TablePool } from '../../../server/src/core/translation/table-pool.ts';
import { X86Tables } from '../../../server/src/core/translation/x86-64.ts';

/** Tables that Linux 7.1's generic_pt wrote, and what it answered; numbers are hex. */
interface Vectors {
  readonly tables: readonly { readonly level: number; readonly phys: string; readonly e: readonly (readonly [string, string])[] }[];
  readonly lookups: readonly (readonly [string, string])[];
}

const folder = process.env['IOMMUD_DATA'];

describe.skipIf(folder === undefined)('tables written by Linux (needs IOMMUD_DATA)', () => {
  it('give the answers of Linux, each subtree of its five-level tree walked as a space of its own', () => {
    const vectors = JSON.parse(readFileSync(join(folder ?? '', 'pgtables/x86_64_2.json'), 'utf8')) as Vectors;
    const pool = new TablePool();
    pool.reserve(vectors.tables.length);
    const pages = new Map(vectors.tables.map(({ phys }) => [BigInt(`0x${phys}`), pool.take()]));
    const roots = new Map<bigint, number>();
    for (const { level, phys, e } of vectors.tables) {
      for (const [index, value] of e) {
        const entry = BigInt(`0x${value}`);
        const child = level > 0 && (entry & 0x80n) === 0n ? pages.get(entry & 0xf_ffff_ffff_f000n) : undefined;
        if (level === 4 && child !== undefined) roots.set(BigInt(`0x${index}`), child);
        const at = pages.get(BigInt(`0x${phys}`))! * 1024 + Number.parseInt(index, 16) * 2;
        const written = child === undefined ? entry : (BigInt(child) << 12n) | (entry & 0xfffn);
        pool.words[at] = Number(BigInt.asIntN(32, written));
        pool.words[at + 1] = Number(BigInt.asIntN(32, written >> 32n));
      }
    }
    expect(roots.size).toBeGreaterThan(50);
    let mapped = 0;
    for (const [va, pa] of vectors.lookups) {
      const address = BigInt(`0x${va}`);
      const walker = new X86Tables(pool, roots.get(address >> 48n) ?? 0);
      const iova = BigInt.asIntN(48, address);
      const status = walker.walk(Number(BigInt.asIntN(32, iova >> 12n)), Number(BigInt.asUintN(20, iova >> 44n)));
      const page = BigInt(walker.foundHigh) * 2n ** 32n + BigInt(walker.foundLow >>> 0);
      const answer = status === STATUS.performed ? page * 4096n + (address & 0xfffn) : 0n;
      expect([va, answer.toString(16)]).toEqual([va, pa]);
      if (answer !== 0n) mapped++;
    }
    expect(mapped).toBeGreaterThan(300);
  });
});
