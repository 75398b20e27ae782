import { describe, expect, it } from 'vitest';
import { MsixVectors } from '../../../server/src/core/pci/index.ts';

describe('an MSI-X table', () => {
  it('has sixteen bytes an entry, and an array of whole QWORDs', () => {
    expect([1, 64, 65, 2048].map((count) => new MsixVectors(count)).map((one) => [one.tableBytes, one.pendingBytes])).toEqual([
      [16, 8],
      [1024, 8],
      [1040, 16],
      [32_768, 256],
    ]);
  });

  it('is masked until software says otherwise, and again after a reset', () => {
    const vectors = new MsixVectors(2);
    expect([vectors.isMasked(0), vectors.isMasked(1), vectors.readTable(28, 4)]).toEqual([true, true, 1]);
    vectors.writeTable(28, 4, 0);
    expect([vectors.isMasked(0), vectors.isMasked(1)]).toEqual([true, false]);
    vectors.writeTable(16, 4, 0xfee0_0003);
    vectors.writeTable(20, 4, 0xffff_ffff);
    vectors.writeTable(24, 4, 0xdead_beef);
    // The low two bits of an address are not part of it.
    expect([vectors.addressLow(1), vectors.addressHigh(1), vectors.data(1)]).toEqual([0xfee0_0000 | 0, -1, 0xdead_beef]);
    vectors.setPending(1, true);
    vectors.reset();
    expect([vectors.isMasked(1), vectors.isPending(1), vectors.data(1), vectors.readPending(0, 4)]).toEqual([true, false, 0, 0]);
  });

  it('has a pending bit for each vector, in order', () => {
    const vectors = new MsixVectors(70);
    expect(vectors.pendingVectors()).toEqual([]);
    vectors.setPending(3, false);
    for (const vector of [69, 0, 31, 32]) vectors.setPending(vector, true);
    expect(vectors.pendingVectors()).toEqual([0, 31, 32, 69]);
    expect([0, 4, 8, 12].map((offset) => vectors.readPending(offset, 4))).toEqual([0x8000_0001, 1, 0x20, 0]);
    expect([vectors.readPending(3, 1), vectors.readPending(2, 2)]).toEqual([0x80, 0x8000]);
    vectors.setPending(31, false);
    expect([vectors.isPending(31), vectors.isPending(32), vectors.pendingVectors()]).toEqual([false, true, [0, 32, 69]]);
  });

  it('can be saved and restored, and what is saved is a copy', () => {
    const vectors = new MsixVectors(1);
    expect(vectors.save()).toBeUndefined();
    vectors.writeTable(8, 4, 5);
    const saved = vectors.save();
    vectors.writeTable(8, 4, 6);
    vectors.restore(saved);
    expect(vectors.data(0)).toBe(5);
    vectors.writeTable(8, 4, 7);
    expect(saved?.[2]).toBe(5);
    vectors.restore(undefined);
    expect([vectors.data(0), vectors.isMasked(0)]).toEqual([0, true]);
  });

  it('keeps the other bytes of a word in a narrow write', () => {
    const vectors = new MsixVectors(1);
    vectors.writeTable(8, 4, 0x1122_3344);
    vectors.writeTable(11, 1, 0xff);
    vectors.writeTable(8, 2, 0xaaaa);
    expect(vectors.readTable(8, 4)).toBe(0xff22_aaaa);
    expect([vectors.readTable(10, 2), vectors.readTable(11, 1)]).toEqual([0xff22, 0xff]);
  });
});
