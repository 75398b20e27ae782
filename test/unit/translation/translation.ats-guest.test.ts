/** Translation Completions for tables that a guest wrote: Global pages, contiguous groups that are none, and the smaller of two stages. */
import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, Trace } from '../../../server/src/core/base/index.ts';
import { GuestMemory } from '../../../server/src/core/memory/index.ts';
import { Translation } from '../../../server/src/core/translation/index.ts';
import { FIVE, R, RW, nic } from './probe.ts';

const GLOBAL = 0x20;
const ROOT = 0x10_0000n;
let memory: GuestMemory;
let t: Translation;

beforeEach(() => {
  memory = new GuestMemory([{ address: ROOT, bytes: 0x10_0000n }]);
  t = new Translation({ trace: new Trace(() => 0), now: () => 0, memory });
});

function put(address: bigint, entry: bigint): void {
  memory.writeBytes(address, new Uint8Array(new BigUint64Array([entry]).buffer));
}

/** A request for the page: R, W, U, Exe, Priv and Global of its completion, and the pages of its range. */
function asked(pasid: typeof FIVE, page: number, access = R): readonly number[] {
  const status = t.translationRequest(t.contextHandle(nic, pasid), page, 0, access);
  return status === 0 ? [(t.completion[0]?.low ?? 0) & 0x3f, 2 ** t.resultPagesLg2] : [-status];
}

describe('Global', () => {
  it('is of an x86-64 leaf with G, and of a request with a PASID', () => {
    put(ROOT, (ROOT + 0x1000n) | 0x27n);
    put(ROOT + 0x1000n, 0x4000_0000n | 0x1e7n);
    put(ROOT + 0x1008n, 0x8000_0000n | 0xe7n);
    const space = t.createSpace('paging', { root: ROOT });
    t.setContext(nic, NO_PASID, space, true);
    t.setContext(nic, FIVE, space, true);
    expect(asked(FIVE, 0)).toEqual([R | GLOBAL, 2 ** 18]);
    expect(asked(FIVE, 0)).toEqual([R | GLOBAL, 2 ** 18]);
    expect(asked(FIVE, 2 ** 18, RW)).toEqual([RW, 2 ** 18]);
    expect(asked(NO_PASID, 0)).toEqual([R, 2 ** 18]);
  });

  it('is of all below a RISC-V entry with G', () => {
    put(ROOT, ((ROOT + 0x1000n) >> 2n) | 0x21n);
    put(ROOT + 0x1000n, (0x4000_0000n >> 2n) | 0xdfn);
    put(ROOT + 8n, (0x8000_0000n >> 2n) | 0xffn);
    put(ROOT + 16n, (0x8000_0000n >> 2n) | 0xdfn);
    t.setContext(nic, FIVE, t.createSpace('paging', { format: 'riscv-sv39', root: ROOT }), true);
    expect([0, 2 ** 18, 2 ** 19].map((page) => asked(FIVE, page))).toEqual([
      [R | GLOBAL, 512],
      [R | GLOBAL, 2 ** 18],
      [R, 2 ** 18],
    ]);
  });
});

describe('a contiguous group of Arm tables', () => {
  it('is one range where its entry is in step with it', () => {
    const group = (1n << 52n) | 0x743n;
    put(ROOT, (ROOT + 0x1000n) | 3n);
    put(ROOT + 0x1000n, (ROOT + 0x2000n) | 3n);
    put(ROOT + 0x2018n, group | 0x4000_3000n);
    put(ROOT + 0x2020n, group | 0x4000_9000n);
    t.setContext(nic, NO_PASID, t.createSpace('paging', { format: 'arm-s1-4k-39', root: ROOT }), true);
    expect([asked(NO_PASID, 3), (t.completion[0]?.low ?? 0) & ~0xfff]).toEqual([[R, 16], 0x4000_7000]);
    expect([asked(NO_PASID, 4), (t.completion[0]?.low ?? 0) & ~0xfff]).toEqual([[R, 1], 0x4000_9000]);
  });
});

describe('of two stages', () => {
  it.each([
    ['the second', 0x4020_0000n, 0x20_0000n, 512],
    ['the first', 0x4000_0000n, 0x4000_0000n, 2 ** 18],
  ])('the smaller page is granted: %s', (_, from, bytes, pages) => {
    const parent = t.createSpace('paging', { format: 'riscv-sv39x4' });
    parent.tables?.map(ROOT, ROOT, 0x1000n, RW);
    parent.tables?.map(from, 0x1_4000_0000n, bytes, RW);
    put(ROOT, (0x4000_0000n >> 2n) | 0xdfn);
    t.setContext(nic, NO_PASID, t.createSpace('paging', { format: 'riscv-sv39', root: ROOT, parent }), true);
    expect(asked(NO_PASID, Number((from - 0x4000_0000n) >> 12n) + 5)).toEqual([R, pages]);
    expect(t.resultPage).toBe(0x14_0005);
  });
});
