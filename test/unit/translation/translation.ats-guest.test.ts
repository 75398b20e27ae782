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

describe('N', () => {
  const SNOOPED = 0x400;
  function bits(page: number, unitLg2 = 0): number {
    expect(t.translationRequest(t.contextHandle(nic, NO_PASID), page, 0, RW, false, unitLg2)).toBe(0);
    return (t.completion[0]?.low ?? 0) & (SNOOPED | RW);
  }

  it('is SNP of a VT-d second-stage leaf, also out of the IOTLB', () => {
    put(ROOT, (ROOT + 0x1000n) | 3n);
    put(ROOT + 0x1000n, (ROOT + 0x2000n) | 0x803n);
    put(ROOT + 0x2000n, 0x4000_0000n | 0x803n);
    put(ROOT + 0x2008n, 0x4000_1000n | 3n);
    put(ROOT + 8n, 0x8000_0000n | 0x883n);
    t.setContext(nic, NO_PASID, t.createSpace('paging', { format: 'vtd-second-stage-3level', root: ROOT }), true);
    expect([0, 0, 1, 1, 2 ** 18].map((page) => bits(page))).toEqual([RW | SNOOPED, RW | SNOOPED, RW, RW, RW | SNOOPED]);
    // One entry for both pages demands it for both.
    expect(bits(1, 1)).toBe(RW | SNOOPED);
  });

  it('is FC of an AMD leaf, which every mapping of a domain has', () => {
    const space = t.createSpace('paging', { format: 'amd-v1-3level' });
    space.tables?.map(0n, 0x4000_0000n, 0x1000n, RW);
    t.setContext(nic, NO_PASID, space, true);
    expect(bits(0)).toBe(RW | SNOOPED);
    put(ROOT, 0x4000_0000n | 1n | (7n << 60n));
    put(ROOT + 8n, 0x4000_1000n | 1n | (6n << 60n));
    t.setContext(nic, NO_PASID, t.createSpace('paging', { format: 'amd-v1-1level', root: ROOT }), true);
    expect([bits(0), bits(1)]).toEqual([RW | SNOOPED, RW]);
  });

  it('of two stages is that of either', () => {
    const second = t.createSpace('paging', { format: 'vtd-second-stage-3level', root: ROOT });
    put(ROOT, (ROOT + 0x1000n) | 3n);
    put(ROOT + 0x1000n, (ROOT + 0x2000n) | 3n);
    // The guest's table at 0 and its pages at 1 and 2, of which the host has the first snooped.
    put(ROOT + 0x2000n, (ROOT + 0x3000n) | 3n);
    put(ROOT + 0x2008n, 0x4000_1000n | 0x803n);
    put(ROOT + 0x2010n, 0x4000_2000n | 3n);
    for (const level of [0n, 1n, 2n]) {
      put(ROOT + 0x2018n + level * 8n, (ROOT + 0x4000n + level * 0x1000n) | 3n);
      put(ROOT + 0x3000n + level * 0x1000n, ((3n + level) << 12n) | 0x27n);
    }
    put(ROOT + 0x6000n, 0x1067n);
    put(ROOT + 0x6008n, 0x2067n);
    t.setContext(nic, NO_PASID, t.createSpace('paging', { root: 0n, parent: second }), true);
    expect([bits(0), bits(1)]).toEqual([RW | SNOOPED, RW]);
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
