/** Access kinds on a register of a test, where no register of PCI Express has them. */
import { describe, expect, it } from 'vitest';
import {
  applyTable,
  newMasks,
  resetBytes,
  restoreBytes,
  writtenByte,
  type ResetKind,
} from '../../../server/src/core/pci/register-table.ts';

const AT = 4;
/** Bits 0 to 3 write one to set, 4 and 5 the same and sticky, 6 and 7 read-only. */
const TABLE = {
  control: {
    offset: 0,
    bytes: 1,
    cite: 'a test',
    fields: { set: { at: [0, 3], access: 'rw1s' }, sticky: { at: [4, 5], access: 'rw1ss' } },
  },
} as const;

function register(start = 0) {
  const masks = newMasks(8);
  applyTable(masks, AT, TABLE, 8);
  const data = new Uint8Array(8);
  data[AT] = start;
  return {
    value: () => data[AT]!,
    write(given: number): void {
      data[AT] = writtenByte(masks, AT, data[AT]!, given, masks.writable[AT]!);
    },
    reset: (kind: ResetKind) => resetBytes(data, masks, kind),
    restore: (saved: number) => restoreBytes(data, masks, new Uint8Array(8).fill(saved)),
  };
}

describe('a bit that a one sets', () => {
  it('is set by a one and left by a zero, whatever it is; read-only bits beside it stay', () => {
    for (let start = 0; start < 256; start++) {
      for (let given = 0; given < 256; given++) {
        const one = register(start);
        one.write(given);
        expect(one.value()).toBe(start | (given & 0x3f));
      }
    }
  });

  it.each([
    ['flr', 0x30],
    ['d3hot', 0x30],
    ['conventional', 0x30],
    ['cold', 0],
  ] as const)('is cleared by a reset that reaches it: %s', (kind, left) => {
    const one = register(0xff);
    one.reset(kind);
    expect(one.value()).toBe(0xc0 | left);
  });

  it('is nothing that software restores', () => {
    const one = register(0);
    expect([one.restore(0xff), one.value()]).toEqual([0, 0]);
  });
});
