import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseTablesFile } from '../../../../client/cli/walk/tables-file.ts';
import { walkTables, walkedText } from '../../../../client/cli/walk/walk-tables.ts';
import * as room from '../../../../server/src/core/translation/index.ts';

const text = readFileSync(join(import.meta.dirname, '../../../fixtures/pgtables/x86-64.json'), 'utf8');
const file = parseTablesFile(text, room);

describe('a file of page tables', () => {
  it('has the answers that it says', () => {
    expect(file.lookups).toHaveLength(11);
    for (const [iova, address] of file.lookups) expect([iova, walkTables(file, iova, room).address ?? 0n]).toEqual([iova, address]);
  });

  it.each([
    ['no JSON', /it is no JSON/],
    ['[]', /the file is no object/],
    ['{}', /info is missing/],
    ['{"info":{}}', /fmt is missing/],
    ['{"info":{},"fmt":"ia32"}', /fmt "ia32" is none of x86_64/],
    ['{"info":{},"fmt":"x86_64"}', /info\.top_level is missing/],
    ['{"info":{"top_level":"2"},"fmt":"x86_64"}', /info\.top_level 2: x86_64 has 3, 4/],
    ['{"info":{"top_level":"3"},"fmt":"x86_64"}', /info\.root is missing/],
    ['{"info":{"top_level":"3","root":"0"},"fmt":"x86_64"}', /tables is missing/],
    ['{"info":{"top_level":"3","root":"1000"},"fmt":"x86_64","tables":[7]}', /tables\[0\] is no object/],
    [
      '{"info":{"top_level":"3","root":"1000"},"fmt":"x86_64","tables":[{"phys":"1000","e":[["x","1"]]}]}',
      /tables\[0\]\.e\[0\]\[0\] "x" is no hexa/,
    ],
    ['{"info":{"top_level":"3","root":5},"fmt":"x86_64","tables":[]}', /info\.root is no text/],
    ['{"info":{"top_level":"3","root":"1004"},"fmt":"x86_64","tables":[]}', /info\.root 0x1004 is no multiple of 8/],
    ['{"info":{"top_level":"3","root":"100000000000000"},"fmt":"x86_64","tables":[]}', /info\.root .* below 2\^56/],
    [
      '{"info":{"top_level":"3","root":"0x1000"},"fmt":"x86_64","tables":[{"phys":"0X1000","e":[["200","1"]]}]}',
      /tables\[0\]\.e\[0\]\[0\] is beyond the table/,
    ],
    ['{"info":{"gran":"13"},"fmt":"lpae_s1","tables":[]}', /info\.gran 13 is none of 12, 14, 16/],
    ['{"info":{"gran":"12","start_level":"1","top_bits":"12","oas":"40"},"fmt":"lpae_s1","tables":[]}', /no start level 1/],
    ['{"info":{"top_level":"3","root":"1000"},"fmt":"x86_64","tables":[],"lookups":[["12345678123456781","0"]]}', /lookups\[0\]\[0\]/],
  ])('%s is refused with what is wrong', (bad, message) => {
    expect(() => parseTablesFile(bad, room)).toThrow(message);
  });
});

describe('a walk in words', () => {
  it('has a line for each level', () => {
    expect(walkedText(walkTables(file, 0x11005n, room))).toBe(
      [
        'x86-64: 0x11005',
        'level 4  index    0  at 0x1000  entry 0x0000000000002027  P R/W U/S A  -> table',
        'level 3  index    0  at 0x2000  entry 0x0000000000003027  P R/W U/S A  -> table',
        'level 2  index    0  at 0x3000  entry 0x0000000000004027  P R/W U/S A  -> table',
        'level 1  index   17  at 0x4088  entry 0x8000000000001025  P U/S A XD  -> page',
        '0x1005, a page of 4 KiB, read',
      ].join('\n'),
    );
  });

  it.each([
    [0x12000n, /0x5000, a page of 4 KiB, none, privileged read write execute$/],
    [0x13000n, /-> not-present\nstops: not-present \(VT-d 0x71\)$/],
    [0x8000_0000n, /P R\/W U\/S A D PS {2}-> reserved-bits\nstops: reserved-bits \(VT-d 0x72\)$/],
    [0x40_0000n, /stops: external-abort \(VT-d 0x70\)$/],
    [0x8000_0000_0000n, /^x86-64: 0x800000000000\nstops: not-canonical \(VT-d 0x80\)$/],
  ])('of %#x ends where it stops', (iova, end) => {
    expect(walkedText(walkTables(file, iova, room))).toMatch(end);
  });
});
