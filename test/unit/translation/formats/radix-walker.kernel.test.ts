/** Tables that Linux 7.1 wrote, walked by us; and ours, written from the same maps and unmaps. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTablesFile } from '../../../../client/cli/walk/tables-file.ts';
import { walkTables } from '../../../../client/cli/walk/walk-tables.ts';
import * as room from '../../../../server/src/core/translation/index.ts';
import { ownTables } from './own-tables.ts';

interface Vectors {
  /** iova, address, bytes, prot. */
  readonly maps: readonly (readonly [string, string, string, string])[];
  /** iova, bytes asked, bytes undone. */
  readonly unmaps: readonly (readonly [string, string, string])[];
}

const folder = process.env['IOMMUD_DATA'] === undefined ? undefined : join(process.env['IOMMUD_DATA'], 'pgtables');
const files = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith('.json'));
const big = (hex: string): bigint => BigInt(`0x${hex}`);
const READ_WRITE = 3;

// The tables are in no project: those of test/fixtures are walked in test/unit/client/cli/walk.test.ts.
const TITLE = folder === undefined ? 'tables written by Linux: SKIPPED, IOMMUD_DATA is not set' : 'tables written by Linux';

describe.skipIf(folder === undefined)(TITLE, () => {
  it.each(files)('%s: every lookup has the answer of Linux, from its tables', (name) => {
    const file = parseTablesFile(readFileSync(join(folder!, name), 'utf8'), room);
    expect(file.lookups.length).toBeGreaterThan(100);
    const wrong = file.lookups.filter(([iova, address]) => (walkTables(file, iova, room).address ?? 0n) !== address);
    expect(wrong).toEqual([]);
    expect(file.lookups.filter(([, address]) => address !== 0n).length).toBeGreaterThan(100);
  });

  it.each(files)('%s: and from ours, after the same maps and unmaps', (name) => {
    const text = readFileSync(join(folder!, name), 'utf8');
    const file = parseTablesFile(text, room);
    const { maps, unmaps } = JSON.parse(text) as Vectors;
    const tables = ownTables(file.format);
    const made: { readonly iova: bigint; readonly bytes: bigint }[] = [];
    for (const [iova, address, bytes, prot] of maps) {
      const range = { iova: big(iova), bytes: big(bytes) };
      // Linux lets a block replace the tables under it; here the caller unmaps first.
      for (const old of made) {
        if (old.iova >= range.iova && old.iova < range.iova + range.bytes) tables.unmap(old.iova, old.bytes);
      }
      expect(tables.map(range.iova, big(address), range.bytes, Number(big(prot)) & READ_WRITE)).toBe(0);
      made.push(range);
    }
    // Where nothing was undone Linux's Arm code was asked for a block in pages of 4 KiB, and left it.
    const done = unmaps.filter(([, , undone]) => big(undone) !== 0n);
    expect(done.length).toBeGreaterThan(5);
    for (const [iova, asked, undone] of done) expect([iova, tables.unmap(big(iova), big(asked))]).toEqual([iova, big(undone)]);
    const wrong = file.lookups.filter(([iova, address]) => (tables.lookup(iova)?.address ?? 0n) !== address);
    expect(wrong).toEqual([]);
    tables.free();
    expect(file.lookups.filter(([iova]) => tables.lookup(iova) !== undefined)).toEqual([]);
  });
});
