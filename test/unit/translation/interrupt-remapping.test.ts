/** VT-d §5.1.2.2 and §5.1.3: what the handle of a message is made of, and what refuses one. */
import { describe, expect, it } from 'vitest';
import { OUTCOMES, bdf } from '../../../server/src/core/base/index.ts';
import { InterruptRemapping, type RemapEntry } from '../../../server/src/core/translation/index.ts';

const AT = bdf(0, 0, 2, 0);
const OTHER = bdf(0, 0, 3, 0);
const BASE = 0xfee0_0000;
const REMAPPABLE = 0x10;
const SUBHANDLE = 0x08;
const ENTRY: RemapEntry = { vector: 0x41, destination: 3, source: undefined };

function remapping(entries: Readonly<Record<number, RemapEntry>> = {}, compatibility = false): InterruptRemapping {
  const table = new InterruptRemapping(compatibility);
  for (const [index, entry] of Object.entries(entries)) table.set(Number(index), entry);
  return table;
}
const ended = (table: InterruptRemapping, address: number, data = 0, source = AT): string =>
  `${OUTCOMES[table.remap(source, address | 0, data)]} ${table.index}`;

describe('interrupt remapping', () => {
  it.each([
    ['bits 19:5', BASE | REMAPPABLE | (5 << 5), 0, 5],
    ['bit 2 is bit 15 of it', BASE | REMAPPABLE | 4 | (5 << 5), 0, 0x8005],
    ['all of it', BASE | REMAPPABLE | 0xf_ffe0 | 4, 0, 0xffff],
    ['a subhandle is added', BASE | REMAPPABLE | SUBHANDLE | (0xf0 << 5), 0x10, 0x100],
    ['and not where it is not valid', BASE | REMAPPABLE | (0xf0 << 5), 0x10, 0xf0],
  ])('takes the handle from %s', (_, address, data, index) => {
    expect(ended(remapping({ [index]: ENTRY }), address, data)).toBe(`performed ${index}`);
    expect(ended(remapping({ [(index + 1) & 0xffff]: ENTRY }), address, data)).toBe('interrupt-absent -1');
  });

  it('says which entry it was, and forgets that with the next', () => {
    const table = remapping({ 5: ENTRY });
    table.remap(AT, BASE | REMAPPABLE | (5 << 5), 0);
    expect([table.entry, table.index]).toEqual([ENTRY, 5]);
    table.remap(AT, BASE | REMAPPABLE, 0);
    expect([table.entry, table.index]).toEqual([undefined, -1]);
  });

  it('refuses a handle and subhandle beyond the table, and reserved bits of the data', () => {
    const table = remapping({ 0xffff: ENTRY });
    const last = BASE | REMAPPABLE | SUBHANDLE | 0xf_ffe0 | 4;
    expect(ended(table, last, 0)).toBe('performed 65535');
    expect(ended(table, last, 1)).toBe('interrupt-index -1');
    expect(ended(table, last, 0x1_0000)).toBe('interrupt-reserved -1');
  });

  it('passes messages that are not remappable as they are, where it is told to', () => {
    expect(ended(remapping({ 0: ENTRY }), BASE, 0x41)).toBe('interrupt-compatibility -1');
    const table = remapping({ 0: ENTRY }, true);
    expect([ended(table, BASE, 0x41), table.entry]).toEqual(['performed -1', undefined]);
  });

  it('lets only its source use an entry that has one', () => {
    const table = remapping({ 0: { ...ENTRY, source: AT } });
    expect(ended(table, BASE | REMAPPABLE)).toBe('performed 0');
    expect(ended(table, BASE | REMAPPABLE, 0, OTHER)).toBe('interrupt-source -1');
    expect(table.entry).toBeUndefined();
  });

  it('has an entry until it is taken out', () => {
    const table = remapping({ 0: ENTRY });
    table.set(0, undefined);
    expect([ended(table, BASE | REMAPPABLE), table.size]).toEqual(['interrupt-absent -1', 0]);
  });
});
