import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, pasid } from '../../../server/src/core/base/index.ts';
import type { Translation } from '../../../server/src/core/translation/index.ts';
import { FIVE, GIB1, KIB4, MIB2, Probe, R, RW, W, disk, nic } from './probe.ts';

let probe: Probe;
let t: Translation;
beforeEach(() => {
  probe = new Probe();
  t = probe.t;
});

describe('the IOTLB', () => {
  it('answers with the old page until it is invalidated', () => {
    const space = probe.paging([0x10000n, 0x5000n, KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    expect(probe.translate(nic, NO_PASID, 0x10000n)).toBe(5);
    space.tables?.unmap(0x10000n, KIB4);
    expect(probe.translate(nic, NO_PASID, 0x10000n)).toBe(5);
    t.invalidateRange(space, 0x10000n, KIB4);
    expect(probe.translate(nic, NO_PASID, 0x10000n)).toBe('not-present');
    space.tables?.map(0x10000n, 0x6000n, KIB4, R);
    expect(probe.translate(nic, NO_PASID, 0x10000n)).toBe(6);
  });

  it('does not remember that a page was absent or a right was missing', () => {
    const space = probe.paging([0x10000n, 0x5000n, KIB4, R]);
    t.setContext(nic, NO_PASID, space, false);
    expect(probe.translate(nic, NO_PASID, 0x11000n)).toBe('not-present');
    space.tables?.map(0x11000n, 0x6000n, KIB4, R);
    expect(probe.translate(nic, NO_PASID, 0x11000n)).toBe(6);
    expect(probe.translate(nic, NO_PASID, 0x10000n, R)).toBe(5);
    space.tables?.unmap(0x10000n, KIB4);
    space.tables?.map(0x10000n, 0x5000n, KIB4, RW);
    expect(probe.translate(nic, NO_PASID, 0x10000n, W)).toBe(5);
  });

  it('drops exactly what a range touches', () => {
    const space = probe.paging([0n, 0x100000n, 16n * KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    const pages = Array.from({ length: 16 }, (_, i) => BigInt(i) * KIB4);
    for (const iova of pages) probe.translate(nic, NO_PASID, iova);
    space.tables?.unmap(0n, 16n * KIB4);
    t.invalidateRange(space, 0x3800n, 0x1801n);
    const left = pages.map((iova) => probe.translate(nic, NO_PASID, iova) !== 'not-present');
    expect(left).toEqual([true, true, true, false, false, false, ...Array.from({ length: 10 }, () => true)]);
    t.invalidateRange(space, 0x8000n, 0n);
    t.invalidateRange(space, 0x9000n, KIB4);
    expect([0x8000n, 0x9000n, 0xa000n].map((iova) => probe.translate(nic, NO_PASID, iova))).toEqual([0x108, 'not-present', 0x10a]);
  });

  it.each([
    ['2 MiB', MIB2],
    ['1 GiB', GIB1],
  ])('drops every slice of a %s page that a range touches', (_, size) => {
    const space = probe.paging([0n, 0n, size]);
    t.setContext(nic, NO_PASID, space, false);
    const iovas = [0n, 0x1000n, size / 2n, size - KIB4];
    for (const iova of iovas) expect(probe.translate(nic, NO_PASID, iova)).toBe(Number(iova >> 12n));
    space.tables?.unmap(0n, size);
    t.invalidateRange(space, 0x1000n, KIB4);
    expect(iovas.map((iova) => probe.translate(nic, NO_PASID, iova))).toEqual(iovas.map(() => 'not-present'));
  });

  it('drops a range at the top of the space, and one as wide as the space', () => {
    const last = 0xffff_ffff_ffff_f000n;
    for (const [iova, bytes] of [
      [last, KIB4],
      [0n, 1n << 64n],
    ] as const) {
      const space = probe.paging([last, 0x5000n, KIB4]);
      t.setContext(nic, NO_PASID, space, false);
      expect(probe.translate(nic, NO_PASID, last)).toBe(5);
      space.tables?.unmap(last, KIB4);
      t.invalidateRange(space, iova, bytes);
      expect(probe.translate(nic, NO_PASID, last)).toBe('not-present');
    }
  });

  it('is shared by the contexts of a space, and dropped for all of them', () => {
    const space = probe.paging([0n, 0x5000n, KIB4]);
    for (const at of [nic, disk]) t.setContext(at, NO_PASID, space, false);
    t.setContext(nic, FIVE, space, false);
    probe.translate(nic, NO_PASID, 0n);
    space.tables?.unmap(0n, KIB4);
    expect([probe.translate(disk, NO_PASID, 0n), probe.translate(nic, FIVE, 0n)]).toEqual([5, 5]);
    t.invalidateSpace(space);
    expect([probe.translate(disk, NO_PASID, 0n), probe.translate(nic, FIVE, 0n), probe.translate(nic, NO_PASID, 0n)]).toEqual([
      'not-present',
      'not-present',
      'not-present',
    ]);
  });

  it('keeps other spaces when one is invalidated', () => {
    const [a, b] = [probe.paging([0n, 0xa000n, KIB4]), probe.paging([0n, 0xb000n, KIB4])];
    t.setContext(nic, NO_PASID, a, false);
    t.setContext(disk, NO_PASID, b, false);
    expect([probe.translate(nic, NO_PASID, 0n), probe.translate(disk, NO_PASID, 0n)]).toEqual([0xa, 0xb]);
    b.tables?.unmap(0n, KIB4);
    t.invalidateSpace(a);
    t.invalidateRange(a, 0n, GIB1);
    t.invalidateRange(a, 0n, KIB4);
    expect(probe.translate(disk, NO_PASID, 0n)).toBe(0xb);
  });

  it('never brings an old page back, over more generations than it has tags', () => {
    const [space, other] = [probe.paging([0n, 0x5000n, KIB4]), probe.paging([0n, 0x7000n, KIB4])];
    t.setContext(nic, NO_PASID, space, false);
    t.setContext(disk, NO_PASID, other, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(5);
    space.tables?.unmap(0n, KIB4);
    space.tables?.map(KIB4, 0x6000n, KIB4, R);
    for (let i = 0; i < 10_000; i++) {
      t.invalidateSpace(space);
      if (probe.translate(nic, NO_PASID, KIB4) !== 6 || probe.translate(nic, NO_PASID, 0n) !== 'not-present')
        expect(i).toBe('no generation');
      if (probe.translate(disk, NO_PASID, 0n) !== 7) expect(i).toBe('no generation');
    }
  });

  it('keeps more spaces apart than it has tags', () => {
    const spaces = Array.from({ length: 5000 }, (_, i) => probe.paging([0n, BigInt(i) * KIB4, KIB4]));
    for (const [i, space] of spaces.entries()) t.setContext(nic, pasid(i), space, false);
    for (let twice = 0; twice < 2; twice++) {
      expect(spaces.findIndex((_, i) => probe.translate(nic, pasid(i), 0n) !== i)).toBe(-1);
    }
  });

  it('holds a working set larger than its first size', () => {
    const pages = 40_000;
    const space = probe.paging([0n, KIB4, BigInt(pages) * KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    const context = t.contextHandle(nic, NO_PASID);
    for (let twice = 0; twice < 3; twice++) {
      for (let page = 0; page < pages; page++) {
        if (t.translate(context, page, 0, RW) !== 0 || t.resultPage !== page + 1) expect(page).toBe('no page');
      }
    }
  });
});
