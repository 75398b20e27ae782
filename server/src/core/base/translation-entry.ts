/**
 * One entry of an ATS Translation Completion: 64 bits, here as two int32 halves (PCIe §10.2.3). Bits 63:12 are the translated address. With S set its
 * lowest bits tell the size: counted from bit 12, the first zero is at bit k, and the range has 2^(k+1) bytes. An Invalidate Request's
 * address has the same code (§10.3.1).
 *
 * Bits 8:6 (AMA) and bit 9 (CXL.io) are zero: no memory attributes are modelled.
 */
import { alignedDown } from './address.ts';
import { ACCESS } from './bus.ts';
import { onesOf } from './page-ranges.ts';

/** Bits of the low half. R, W, Exe, Priv and Global speak of the requests that may use the entry; N of how. */
export const TRANSLATION = {
  read: 1 << 0,
  write: 1 << 1,
  /** The range is accessible with untranslated requests only: the address is not to be used. */
  untranslatedOnly: 1 << 2,
  execute: 1 << 3,
  /** The rights are those of privileged mode: only in an answer to a request with Privileged Mode Requested. */
  privileged: 1 << 4,
  /** The entry may serve every PASID of the function. */
  global: 1 << 5,
  /** N: requests that use it have No Snoop clear. */
  snooped: 1 << 10,
  size: 1 << 11,
} as const;

/** Its halves. */
export interface TranslationEntry {
  readonly low: number;
  readonly high: number;
}

/** The whole of 64 bits: bits 62:12 all ones, bit 63 zero. */
const EVERYTHING_LG2 = 52;
const FIELDS = 0xfff;
const LOW_PAGE_BITS = 20;
const LOW_PAGE_MASK = 0xfffff;

/** The low half of the entry for a range of 2^lg2 pages (at most 2^52) with this page in it. `fields`: bits of {@link TRANSLATION}, but `size`. */
export function translationLow(page: number, lg2: number, fields: number): number {
  return ((codedPage(page, lg2) % 2 ** LOW_PAGE_BITS) << 12) | (fields & FIELDS) | (lg2 === 0 ? 0 : TRANSLATION.size);
}
export function translationHigh(page: number, lg2: number): number {
  return Math.floor(codedPage(page, lg2) / 2 ** LOW_PAGE_BITS) | 0;
}

/** log2 of the range's pages. */
export function translationPagesLg2(low: number, high: number): number {
  if ((low & TRANSLATION.size) === 0) return 0;
  const ones = onesOf((low >>> 12) & LOW_PAGE_MASK);
  // All 52 bits set name no size; whoever reads it as everything is on the safe side.
  return Math.min(1 + (ones < LOW_PAGE_BITS ? ones : LOW_PAGE_BITS + onesOf(high)), EVERYTHING_LG2);
}

/** The first page of the range. */
export function translationPage(low: number, high: number): number {
  return alignedDown((low >>> 12) + (high >>> 0) * 2 ** LOW_PAGE_BITS, translationPagesLg2(low, high));
}

/** ACCESS bits of an entry with this low half: R and W stand where they do there. */
export function translationAccess(low: number): number {
  return (low & ACCESS.readWrite) | ((low & TRANSLATION.execute) === 0 ? 0 : ACCESS.execute);
}

function codedPage(page: number, lg2: number): number {
  return alignedDown(page, lg2) + (lg2 === 0 ? 0 : 2 ** (lg2 - 1) - 1);
}
