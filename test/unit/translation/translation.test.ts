import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, bdf, pasid } from '../../../server/src/core/base/index.ts';
import type { Translation } from '../../../server/src/core/translation/index.ts';
import { FIVE, GIB1, KIB4, MIB2, Probe, R, RW, W, disk, nic, X } from './probe.ts';

let probe: Probe;
let t: Translation;
beforeEach(() => {
  probe = new Probe();
  t = probe.t;
});

describe('a context', () => {
  it('that was never set, or was removed, is a blocked domain', () => {
    expect(probe.translate(nic, NO_PASID, 0n)).toBe('blocked-domain');
    const space = probe.paging([0n, KIB4, KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(1);
    t.setContext(nic, NO_PASID, undefined, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe('blocked-domain');
    expect(t.contextSpace(nic, NO_PASID)).toBeUndefined();
    expect(t.spaceIdOf(t.contextHandle(nic, NO_PASID))).toBe(0);
  });

  it('is one for each function, and each PASID of it', () => {
    const [a, b, c] = [probe.paging([0n, 0xa000n, KIB4]), probe.paging([0n, 0xb000n, KIB4]), probe.paging([0n, 0xc000n, KIB4])];
    t.setContext(nic, NO_PASID, a, false);
    t.setContext(nic, FIVE, b, false);
    t.setContext(disk, FIVE, c, false);
    for (let twice = 0; twice < 2; twice++) {
      expect([probe.translate(nic, NO_PASID, 0n), probe.translate(nic, FIVE, 0n), probe.translate(disk, FIVE, 0n)]).toEqual([
        0xa, 0xb, 0xc,
      ]);
    }
    expect(probe.translate(disk, NO_PASID, 0n)).toBe('blocked-domain');
    expect(probe.translate(nic, pasid(6), 0n)).toBe('blocked-domain');
    expect(t.contextSpace(nic, FIVE)).toBe(b);
    expect(t.spaceIdOf(t.contextHandle(disk, FIVE))).toBe(c.id);
  });

  it('keeps its handle, however many there are', () => {
    const places = Array.from({ length: 100 }, (_, i) => bdf(i, 0xff, 0x1f, 7));
    const space = probe.paging([0n, KIB4, KIB4]);
    const handles = places.map((at) => t.contextHandle(at, pasid(0xfffff)));
    expect(new Set(handles).size).toBe(100);
    for (const at of places) t.setContext(at, pasid(0xfffff), space, false);
    expect(places.map((at) => t.contextHandle(at, pasid(0xfffff)))).toEqual(handles);
    expect(places.map((at) => probe.translate(at, pasid(0xfffff), 0n))).toEqual(places.map(() => 1));
    expect(t.contextHandle(bdf(0, 0, 0, 0), NO_PASID)).not.toBe(t.contextHandle(bdf(0, 0, 0, 0), pasid(0)));
  });

  it('that moves uses the new space at once', () => {
    const [a, b] = [probe.paging([0n, 0xa000n, KIB4]), probe.paging([0n, 0xb000n, KIB4])];
    t.setContext(nic, NO_PASID, a, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(0xa);
    t.setContext(nic, NO_PASID, b, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(0xb);
    t.setContext(nic, NO_PASID, t.createSpace('blocked'), false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe('blocked-domain');
    t.setContext(nic, NO_PASID, a, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(0xa);
  });
});

describe('an identity space', () => {
  it('passes 52-bit addresses with every right, and no wider ones', () => {
    t.setContext(nic, NO_PASID, t.createSpace('identity'), false);
    expect(probe.translate(nic, NO_PASID, 0xfee0_0000n, RW)).toBe(0xfee00);
    expect(probe.translate(nic, NO_PASID, 0xdead_beef_f000n, W)).toBe(0xd_eadb_eeff);
    expect([t.resultAccess, 2 ** t.resultPagesLg2]).toEqual([RW, 2 ** 18]);
    expect(probe.translate(nic, NO_PASID, (1n << 52n) - KIB4)).toBe(2 ** 40 - 1);
    expect(probe.translate(nic, NO_PASID, 1n << 52n)).toBe('too-wide');
    expect(probe.translate(nic, NO_PASID, 0xffff_ffff_ffff_f000n)).toBe('too-wide');
  });
});

describe('a paging space', () => {
  it('answers each kind of fault, the first time and again', () => {
    const space = probe.paging([0x10000n, 0x5000n, KIB4, R], [0x20000n, 0x6000n, KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    for (let twice = 0; twice < 2; twice++) {
      expect(probe.translate(nic, NO_PASID, 0x11000n, W)).toBe('not-present');
      expect(probe.translate(nic, NO_PASID, 0x10000n, R)).toBe(5);
      expect(probe.translate(nic, NO_PASID, 0x10000n, W)).toBe('not-permitted');
      expect(probe.translate(nic, NO_PASID, 0x10000n, RW)).toBe('not-permitted');
      expect(probe.translate(nic, NO_PASID, 0x20000n, RW)).toBe(6);
      expect(probe.translate(nic, NO_PASID, 0x8000_0000_0000n, R)).toBe('not-canonical');
    }
  });

  it('gives physical pages above 32 bits, and the size of the mapping', () => {
    const space = probe.paging([GIB1, 0xf_c000_0000_0000n, GIB1, R], [0n, 0xa_0000_0020_0000n, MIB2], [MIB2, 0x8000_0000n, KIB4]);
    t.setContext(nic, NO_PASID, space, false);
    for (let twice = 0; twice < 2; twice++) {
      expect(probe.translate(nic, NO_PASID, GIB1 + 0x1234_5000n)).toBe(0xfc_0001_2345);
      expect([t.resultAccess, 2 ** t.resultPagesLg2]).toEqual([R | X, 2 ** 18]);
      expect(probe.translate(nic, NO_PASID, 0x1ff000n)).toBe(0xa0_0000_03ff);
      expect([t.resultAccess, 2 ** t.resultPagesLg2]).toEqual([RW | X, 512]);
      expect(probe.translate(nic, NO_PASID, MIB2)).toBe(0x8_0000);
      expect(2 ** t.resultPagesLg2).toBe(1);
    }
  });

  it('tells pages apart that differ only in high bits', () => {
    const pages = [0n, 1n << 44n, 1n << 46n, 0xffff_8000_0000_0000n, 0xffff_f000_0000_0000n];
    const space = probe.paging(...pages.map((iova, i) => [iova, BigInt(i + 1) * KIB4, KIB4] as const));
    t.setContext(nic, NO_PASID, space, false);
    for (let twice = 0; twice < 2; twice++) expect(pages.map((iova) => probe.translate(nic, NO_PASID, iova))).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('spaces', () => {
  it('have ids of their own, never used again', () => {
    const a = t.createSpace('paging');
    t.destroySpace(a);
    const b = t.createSpace('blocked');
    expect(b.id).not.toBe(a.id);
    expect([a.type, b.type, b.tables]).toEqual(['paging', 'blocked', undefined]);
  });

  it('that are destroyed leave nothing behind', () => {
    const a = probe.paging([0n, 0x5000n, KIB4]);
    t.setContext(nic, NO_PASID, a, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe(5);
    t.setContext(nic, NO_PASID, undefined, false);
    t.destroySpace(a);
    const b = probe.paging([KIB4, 0x6000n, KIB4]);
    t.setContext(nic, NO_PASID, b, false);
    expect(probe.translate(nic, NO_PASID, 0n)).toBe('not-present');
    expect(probe.translate(nic, NO_PASID, KIB4)).toBe(6);
  });

  it('cannot be destroyed in use, used when destroyed, or brought from another machine', () => {
    const a = t.createSpace('paging');
    t.setContext(nic, NO_PASID, a, false);
    expect(() => t.destroySpace(a)).toThrow('address space 1 is destroyed while 1 contexts use it');
    t.setContext(nic, NO_PASID, undefined, false);
    t.destroySpace(a);
    expect(() => t.setContext(nic, NO_PASID, a, false)).toThrow('address space 1 is not one of this machine');
    const stranger = new Probe().t.createSpace('identity');
    expect(() => t.invalidateSpace(stranger)).toThrow('address space 1 is not one of this machine');
  });
});

describe('the trace', () => {
  it('tells of contexts, invalidations and grants, and of no translation', () => {
    const space = probe.paging([0n, 0x5000n, KIB4]);
    t.setContext(nic, FIVE, space, true);
    probe.translate(nic, FIVE, 0n);
    probe.translate(nic, FIVE, 0n);
    probe.request(nic, FIVE, 0n);
    t.invalidateRange(space, 0n, KIB4);
    t.invalidateSpace(space);
    t.setContext(nic, FIVE, undefined, true);
    expect(probe.seen.map(({ kind, a, b, c, d }) => [kind, a, b, c, d])).toEqual([
      ['context-set', 0x10, 5, space.id, 0],
      ['ats-granted', 0x10, 0, 5, R],
      ['iotlb-invalidated', space.id, 0, 1, 0],
      ['iotlb-invalidated', space.id, 0, 0, 0],
      ['context-set', 0x10, 5, 0, 1],
    ]);
  });
});
