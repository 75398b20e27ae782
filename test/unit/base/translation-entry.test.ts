/** The sizes are those that PCIe Base 6.0 §10.2.3 names as examples, and worked out by hand where it names none. */
import { describe, expect, it } from 'vitest';
import {
  TRANSLATION,
  translationHigh,
  translationLow,
  translationPage,
  translationPagesLg2,
} from '../../../server/src/core/base/translation-entry.ts';

function coded(page: number, lg2: number, fields = 0): bigint {
  return BigInt.asUintN(64, (BigInt(translationHigh(page, lg2)) << 32n) | BigInt.asUintN(32, BigInt(translationLow(page, lg2, fields))));
}
function halves(entry: bigint): [low: number, high: number] {
  return [Number(BigInt.asIntN(32, entry)), Number(BigInt.asIntN(32, entry >> 32n))];
}

describe('an entry of a Translation Completion', () => {
  it.each([
    ['4 KiB', 0x1_2345, 0, 0x1234_5000n],
    ['8 KiB: bit 12 zero', 0x1_2345, 1, 0x1234_4800n],
    ['16 KiB: bit 12 one, bit 13 zero', 0x1_2345, 2, 0x1234_5800n],
    ['64 KiB', 0x1_2345, 4, 0x1234_7800n],
    ['2 MiB: bits 19:12 ones', 0x1_2345, 9, 0x122f_f800n],
    ['1 GiB: bits 28:12 ones', 0xf_ffff_ffff, 18, 0xffff_dfff_f800n],
    ['everything: bits 62:12 ones', 0, 52, 0x7fff_ffff_ffff_f800n],
  ])('of %s', (_, page, lg2, entry) => {
    expect(coded(page, lg2)).toBe(entry);
    expect(translationPagesLg2(...halves(entry))).toBe(lg2);
    expect(translationPage(...halves(entry))).toBe(Math.floor(page / 2 ** lg2) * 2 ** lg2);
  });

  it('has its fields where the specification has them', () => {
    expect(TRANSLATION).toEqual({
      read: 1,
      write: 2,
      untranslatedOnly: 4,
      execute: 8,
      privileged: 0x10,
      global: 0x20,
      snooped: 0x400,
      size: 0x800,
    });
    expect(coded(5, 0, TRANSLATION.read | TRANSLATION.global)).toBe(0x5021n);
  });

  it('whose bits 63:12 are all ones is read as everything', () => {
    expect(translationPagesLg2(...halves(0xffff_ffff_ffff_f800n))).toBe(52);
  });
});
