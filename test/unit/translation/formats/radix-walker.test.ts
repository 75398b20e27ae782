/** Entries that the formats' specifications tell apart, written by hand: what each format makes of them. */
import { describe, expect, it } from 'vitest';
import {
  FORMAT_NAMES,
  KIND,
  RadixWalker,
  STATUS,
  formatNamed,
  lpae,
  type Format,
  type TableMemory,
} from '../../../../server/src/core/translation/index.ts';
import { pageHigh, pageLow } from './own-tables.ts';

/** Memory with these 8-byte entries at these addresses; what is in no page of theirs is no memory. */
class Entries implements TableMemory {
  low = 0;
  high = 0;
  readonly #at: ReadonlyMap<number, bigint>;

  constructor(entries: Readonly<Record<number, bigint>>) {
    this.#at = new Map(Object.entries(entries).map(([address, entry]) => [Number(address), entry]));
  }

  load(page: number, offset: number): boolean {
    const at = page * 4096 + offset;
    if (![...this.#at.keys()].some((address) => Math.floor(address / 4096) === page)) return false;
    const entry = this.#at.get(at) ?? 0n;
    this.low = Number(BigInt.asIntN(32, entry));
    this.high = Number(BigInt.asIntN(32, entry >> 32n));
    return true;
  }
}

interface Answer {
  readonly status: string;
  readonly address?: bigint;
  readonly pages?: number;
  readonly access?: number;
  readonly privileged?: number;
}

function walk(name: string | Format, entries: Readonly<Record<number, bigint>>, iova: bigint, root = 0x1000): Answer {
  const format = typeof name === 'string' ? formatNamed(name)! : name;
  const walker = new RadixWalker(format, new Entries(entries));
  const code = walker.walk(Math.floor(root / 4096), root % 4096, pageLow(iova), pageHigh(iova));
  const status = Object.entries(STATUS).find(([, number]) => number === code)![0];
  if (status !== 'performed') return { status };
  const page = BigInt(walker.foundHigh) * 2n ** 32n + BigInt(walker.foundLow >>> 0);
  return {
    status,
    address: page * 4096n,
    pages: 2 ** walker.foundPagesLg2,
    access: walker.foundAccess,
    privileged: walker.foundPrivileged,
  };
}
const statusOf = (...args: Parameters<typeof walk>): string => walk(...args).status;

describe('names', () => {
  it('are unique and lead to their format', () => {
    expect(new Set(FORMAT_NAMES).size).toBe(FORMAT_NAMES.length);
    for (const name of [...FORMAT_NAMES, 'arm-s1-4k-48', 'arm-s2-16k-40', 'arm-s1-64k-42']) expect(formatNamed(name)?.name).toBe(name);
  });

  it.each(['', 'x86', 'arm-s3-4k-48', 'arm-s1-8k-48', 'arm-s1-4k-24', 'arm-s1-4k-49', 'riscv-sv32', 'toString'])('"%s" is none', (name) => {
    expect(formatNamed(name)).toBeUndefined();
  });
});

describe('VT-d second stage', () => {
  const NAME = 'vtd-second-stage-3level';
  const leaf = (bits: bigint): string => statusOf(NAME, { 0x1000: 0x2003n, 0x2000: 0x3003n, 0x3000: 0x5000n | bits }, 0n);

  it('has no present bit: readable or writable is present', () => {
    expect([0n, 1n, 2n, 3n, 4n].map(leaf)).toEqual(['not-present', 'performed', 'performed', 'performed', 'not-present']);
  });
  it('reads where every level can be read, and writes where every level can be written', () => {
    expect(walk(NAME, { 0x1000: 0x2001n, 0x2000: 0x3003n, 0x3000: 0x5003n }, 0n).access! & 3).toBe(1);
    expect(walk(NAME, { 0x1000: 0x2003n, 0x2000: 0x3002n, 0x3000: 0x5003n }, 0n).access! & 3).toBe(2);
    expect(walk(NAME, { 0x1000: 0x2001n, 0x2000: 0x3002n, 0x3000: 0x5003n }, 0n).access! & 3).toBe(0);
  });
  it('reserves the address bits below a large page, in present entries only', () => {
    expect(walk(NAME, { 0x1000: 0x4000_0083n }, 0x1234_5000n)).toMatchObject({ address: 0x5234_5000n, pages: 2 ** 18 });
    expect(statusOf(NAME, { 0x1000: 0x4000_1083n }, 0n)).toBe('reserved-bits');
    expect(statusOf(NAME, { 0x1000: 0x4000_1080n }, 0n)).toBe('not-present');
    expect(statusOf('vtd-second-stage-4level', { 0x1000: 0x83n }, 0n)).toBe('reserved-bits');
  });
  it('has addresses of 39 bits with three levels, and says too-wide for more', () => {
    expect(statusOf(NAME, { 0x1ff8: 0n }, 0x7f_ffff_f000n)).toBe('not-present');
    expect(statusOf(NAME, { 0x1ff8: 0n }, 0x80_0000_0000n)).toBe('too-wide');
    expect(statusOf(NAME, { 0x1ff8: 0n }, 0xffff_ffff_ffff_f000n)).toBe('too-wide');
  });
});

describe('AMD v1', () => {
  const IR = 1n << 61n;
  const IW = 1n << 62n;
  const RW = IR | IW;
  const entry = (address: bigint, next: bigint, rights = RW): bigint => address | (next << 9n) | 1n | rights;

  it('leads past levels whose bits of the address are zero', () => {
    const entries = { 0x1000: entry(0x2000n, 1n), 0x2008: entry(0x9000n, 0n) };
    expect(walk('amd-v1-4level', entries, 0x1000n)).toMatchObject({ address: 0x9000n, pages: 1 });
    expect(statusOf('amd-v1-4level', entries, 0x20_1000n)).toBe('not-present');
    expect(statusOf('amd-v1-4level', entries, 0x4000_1000n)).toBe('not-present');
  });
  it.each([
    ['8 KiB', 0n, 2],
    ['16 KiB', 1n, 4],
    ['1 MiB', 0x7fn, 256],
  ])('reads %s from the address of a leaf with next level 7', (_name, code, pages) => {
    const base = 0x1000_0000n;
    const at = 0x1000;
    expect(walk('amd-v1-1level', { [at]: entry(base | (code << 12n), 7n) }, 0n)).toMatchObject({ address: base, pages });
    expect(walk('amd-v1-1level', { [at + 8]: entry(base | (code << 12n), 7n) }, 0x1000n)).toMatchObject({ address: base + 0x1000n, pages });
  });
  it('refuses coded sizes of another level', () => {
    expect(statusOf('amd-v1-1level', { 0x1000: entry(0x1000_0000n | (0xffn << 12n), 7n) }, 0n)).toBe('reserved-bits');
    expect(statusOf('amd-v1-2level', { 0x1000: entry(0x1000_0000n, 7n) }, 0n)).toBe('reserved-bits');
    expect(statusOf('amd-v1-1level', { 0x1000: entry(0xf_ffff_ffff_f000n, 7n) }, 0n)).toBe('reserved-bits');
  });
  it('refuses a next level that is not below', () => {
    expect(statusOf('amd-v1-2level', { 0x1000: entry(0x2000n, 2n), 0x2000: 0n }, 0n)).toBe('reserved-bits');
    expect(statusOf('amd-v1-2level', { 0x1000: entry(0x2000n, 6n), 0x2000: 0n }, 0n)).toBe('reserved-bits');
  });
  it('reads and writes where every level may', () => {
    expect(walk('amd-v1-2level', { 0x1000: entry(0x2000n, 1n, IR), 0x2000: entry(0x5000n, 0n) }, 0n).access! & 3).toBe(1);
    expect(walk('amd-v1-2level', { 0x1000: entry(0x2000n, 1n), 0x2000: entry(0x5000n, 0n, IW) }, 0n).access! & 3).toBe(2);
  });
  it('has 64 bits with six levels, and says too-wide above fewer', () => {
    expect(statusOf('amd-v1-6level', { 0x13f8: 0n }, 0xffff_ffff_ffff_f000n)).toBe('not-present');
    expect(statusOf('amd-v1-1level', { 0x1000: 0n }, 0x20_0000n)).toBe('too-wide');
  });
});

describe('RISC-V', () => {
  const leafOf = (bits: bigint, page = 0x55n): Readonly<Record<number, bigint>> => ({
    0x1000: (2n << 10n) | 1n,
    0x2000: (3n << 10n) | 1n,
    0x3000: (page << 10n) | bits,
  });
  const ALL = 0xdfn;
  const status = (bits: bigint, page?: bigint): string => statusOf('riscv-sv39', leafOf(bits, page), 0n);

  it('has the rights of its leaf, writing only with D; with U for users, else for the supervisor', () => {
    const access = (bits: bigint): (number | undefined)[] => {
      const { access: user, privileged } = walk('riscv-sv39', leafOf(bits), 0n);
      return [user, privileged];
    };
    expect(access(ALL)).toEqual([7, 0]);
    expect(access(ALL & ~0x80n)).toEqual([5, 0]);
    expect(access(ALL & ~0x10n)).toEqual([0, 7]);
    expect(access(0x53n)).toEqual([1, 0]);
  });
  it.each([
    ['V clear', ALL & ~1n, 'not-present'],
    ['write without read', ALL & ~2n, 'reserved-bits'],
    ['A clear', ALL & ~0x40n, 'access-flag'],
    ['bit 54', ALL | (1n << 54n), 'reserved-bits'],
    ['bit 60', ALL | (1n << 60n), 'reserved-bits'],
    ['PBMT 3', ALL | (3n << 61n), 'reserved-bits'],
    ['PBMT 1', ALL | (1n << 61n), 'performed'],
    ['a table at the last level', 1n, 'not-present'],
  ])('%s', (_name, bits, expected) => {
    expect(status(bits)).toBe(expected);
  });
  it('has a NAPOT page of 64 KiB, at the last level and with its code only', () => {
    const N = 1n << 63n;
    const entries = { 0x1000: (2n << 10n) | 1n, 0x2000: (3n << 10n) | 1n, 0x3018: (0x48n << 10n) | ALL | N };
    expect(walk('riscv-sv39', entries, 0x3000n)).toMatchObject({ address: 0x43000n, pages: 16 });
    expect(status(ALL | N, 0x44n)).toBe('reserved-bits');
    expect(status(ALL | N, 0x40n)).toBe('reserved-bits');
    expect(statusOf('riscv-sv39', { 0x1000: (0x8n << 10n) | ALL | N }, 0n)).toBe('reserved-bits');
  });
  it('has pages at every level, aligned', () => {
    expect(walk('riscv-sv48', { 0x1000: (0x800_0000n << 10n) | ALL }, 0x12_3456_7000n)).toMatchObject({
      address: 0x92_3456_7000n,
      pages: 2 ** 27,
    });
    expect(statusOf('riscv-sv48', { 0x1000: (0x800_0200n << 10n) | ALL }, 0n)).toBe('reserved-bits');
  });
  it.each([0x10n, 0x40n, 0x80n, 1n << 61n, 1n << 63n])('refuses a table with bit %#x', (bit) => {
    expect(statusOf('riscv-sv39', { 0x1000: (2n << 10n) | 1n | bit, 0x2000: 0n }, 0n)).toBe('reserved-bits');
  });
  it('is sign-extended in the first stage, and two bits wider in the second', () => {
    expect(statusOf('riscv-sv39', { 0x1ff8: 0n }, 0xffff_ffff_ffff_f000n)).toBe('not-present');
    expect(statusOf('riscv-sv39', { 0x1ff8: 0n }, 0x40_0000_0000n)).toBe('not-canonical');
    expect(statusOf('riscv-sv39', { 0x1ff8: 0n }, 0x7f_ffff_f000n)).toBe('not-canonical');
    const last = 0x4000 + 2047 * 8;
    expect(walk('riscv-sv39x4', { [last]: (0x4_0000n << 10n) | ALL }, 0x1ff_c000_0000n, 0x4000)).toMatchObject({ address: 0x4000_0000n });
    expect(statusOf('riscv-sv39x4', { [last]: 0n }, 0x200_0000_0000n, 0x4000)).toBe('too-wide');
  });
});

describe('Arm LPAE', () => {
  const leafOf = (bits: bigint): Readonly<Record<number, bigint>> => ({
    0x1000: 0x2003n,
    0x2000: 0x3003n,
    0x3000: 0x4003n,
    0x4000: 0x9000n | bits,
  });
  const S1 = 'arm-s1-4k-48';
  const access = (name: string, bits: bigint): (number | undefined)[] => {
    const { access: user, privileged } = walk(name, leafOf(bits), 0n);
    return [user, privileged];
  };

  it('stage 1 reads always, writes without AP[2], for users with AP[1], and executes without UXN', () => {
    expect(access(S1, 0x443n)).toEqual([7, 7]);
    expect(access(S1, 0x4c3n)).toEqual([5, 5]);
    expect(access(S1, 0x403n)).toEqual([0, 7]);
    expect(access(S1, 0x443n | (1n << 54n))).toEqual([3, 3]);
  });
  it('stage 1 tables restrict what is below', () => {
    const under = (bit: bigint): (number | undefined)[] => {
      const { access: user, privileged } = walk(S1, { ...leafOf(0x443n), 0x2000: 0x3003n | (1n << bit) }, 0n);
      return [user, privileged];
    };
    expect(under(62n)).toEqual([5, 5]);
    expect(under(61n)).toEqual([0, 7]);
    expect(under(60n)).toEqual([3, 3]);
    expect(under(59n)).toEqual([7, 7]);
  });
  it('stage 2 has S2AP, and tables that restrict nothing', () => {
    const S2 = lpae({ stage: 2, granule: 12, inputBits: 48, outputBits: 48 });
    const rights = (bits: bigint, table = 0n): number => walk(S2, { ...leafOf(bits), 0x2000: 0x3003n | table }, 0n).access! & 3;
    expect([0x403n, 0x443n, 0x483n, 0x4c3n].map((bits) => rights(bits))).toEqual([0, 1, 2, 3]);
    expect(rights(0x4c3n, 7n << 60n)).toBe(3);
  });
  it('a leaf without its access flag faults; an invalid one is not present whatever else it says', () => {
    expect(statusOf(S1, leafOf(0x43n), 0n)).toBe('access-flag');
    expect(statusOf(S1, leafOf(0x442n), 0n)).toBe('not-present');
  });
  it('a block at the last level, and at level 0, is not present', () => {
    expect(statusOf(S1, leafOf(0x441n), 0n)).toBe('not-present');
    expect(statusOf(S1, { 0x1000: 0x441n }, 0n)).toBe('not-present');
    expect(walk(S1, { 0x1000: 0x2003n, 0x2000: 0x8000_0441n }, 0x1234_5000n)).toMatchObject({ address: 0x9234_5000n, pages: 2 ** 18 });
  });
  it.each([
    ['arm-s1-16k-36', { 0x1000: 0x200_0441n }, 0x1ff_4000n, 0x3ff_4000n, 2 ** 13],
    ['arm-s1-64k-42', { 0x1000: 0x4000_0441n }, 0x1fff_0000n, 0x5fff_0000n, 2 ** 17],
  ] as const)('%s has blocks at its level 2', (name, entries, iova, address, pages) => {
    expect(walk(name, entries, iova)).toMatchObject({ address, pages });
  });
  it('an output beyond its width is an address size fault, before the access flag', () => {
    const narrow = lpae({ stage: 1, granule: 12, inputBits: 39, outputBits: 32 });
    expect(statusOf(narrow, { 0x1000: 0x1_0000_0041n }, 0n)).toBe('address-size');
    expect(statusOf(narrow, { 0x1000: 0x1_0000_2003n }, 0n)).toBe('address-size');
    expect(statusOf(narrow, { 0x1000: 0xc000_0441n }, 0n)).toBe('performed');
  });
  it('begins in the middle of a page where its first table is part of one', () => {
    const part = lpae({ stage: 1, granule: 12, inputBits: 41, outputBits: 48 });
    expect(part.indexLg2).toEqual([9, 9, 9, 2]);
    expect(walk(part, { 0x1048: 0x2003n, 0x2000: 0x4000_0441n }, 0x80_0000_5000n, 0x1040)).toMatchObject({ address: 0x4000_5000n });
  });
  it('stage 2 joins up to 16 tables where a walk begins', () => {
    const joined = formatNamed('arm-s2-4k-40')!;
    expect([joined.top, joined.indexLg2]).toEqual([2, [9, 9, 10]]);
    expect(walk(joined, { 0x2ff8: 0x4000_07fdn }, 0xff_c000_0000n)).toMatchObject({ address: 0x4000_0000n, access: 7 });
    expect(() => lpae({ stage: 1, granule: 12, inputBits: 40, outputBits: 40, startLevel: 1 })).toThrow(/no start level 1 for 40 bits/);
  });
  it('names what its contiguous groups are', () => {
    expect(formatNamed(S1)!.groupOf?.(0, 1 << 20, 0)).toBe(4);
    expect(formatNamed('arm-s1-16k-48')!.groupOf?.(0, 1 << 20, 0)).toBe(9);
    expect(formatNamed('arm-s1-64k-48')!.groupOf?.(0, 1 << 20, 1)).toBe(22);
    expect(formatNamed(S1)!.groupOf?.(0, 0, 0)).toBe(0);
  });
});

describe('every format', () => {
  it.each([...FORMAT_NAMES, 'arm-s1-4k-48', 'arm-s2-64k-48'])('%s: a table outside memory is an external abort', (name) => {
    expect(statusOf(name, {}, 0n)).toBe('external-abort');
    const format = formatNamed(name)!;
    const words = new Int32Array(2);
    if (format.top === 0) return;
    format.putTable(words, 0, 0xfffff, format.top);
    const entry = (BigInt(words[1]! >>> 0) << 32n) | BigInt(words[0]! >>> 0);
    expect(statusOf(name, { 0x1000: entry }, 0n)).toBe('external-abort');
  });

  it.each([...FORMAT_NAMES, 'arm-s1-4k-48', 'arm-s2-4k-48'])('%s: tables that lead to themselves end the walk', (name) => {
    const format = formatNamed(name)!;
    if (format.top === 0) return;
    const words = new Int32Array(2);
    format.putTable(words, 0, 1, format.top);
    const entry = (BigInt(words[1]! >>> 0) << 32n) | BigInt(words[0]! >>> 0);
    expect(statusOf(name, { 0x1000: entry }, 0n)).not.toBe('external-abort');
  });

  it('says what an entry is in words', () => {
    expect(formatNamed('x86-64')!.bitNames(0x4000_00e7, 1 << 31, 2)).toEqual(['P', 'R/W', 'U/S', 'A', 'D', 'XD', 'PS']);
    expect(formatNamed('amd-v1-4level')!.bitNames(0x0000_0201, 0x6000_0000, 3)).toEqual(['PR', 'IR', 'IW', 'NextLevel=1']);
    expect(formatNamed('riscv-sv39')!.bitNames(0xdf, 0, 0)).toEqual(['V', 'R', 'W', 'X', 'U', 'A', 'D']);
    expect(formatNamed('arm-s1-4k-48')!.bitNames(0x443, 1 << 22, 0)).toEqual(['valid', 'page', 'AP[1]', 'AF', 'UXN']);
    expect(KIND.table).not.toBe(KIND.leaf);
  });
});
