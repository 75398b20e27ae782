import { describe, expect, it } from 'vitest';
import { MsiRegisters, MsixRegisters } from '../../../server/src/core/pci/index.ts';

const AT = 8;

function bytes(...dwords: readonly number[]): Uint8Array {
  const data = new Uint8Array(64);
  for (const [i, dword] of dwords.entries()) new DataView(data.buffer).setUint32(AT + 4 * i, dword, true);
  return data;
}

describe('MSI', () => {
  it('of 64 bits with masks', () => {
    const data = bytes(0x01a9_0005 | 0, 0xfee0_0ffc, 0x1234_5678, 0xaaaa_4041, 0x8000_0001, 0x8000_0000);
    const msi = new MsiRegisters(data, AT);
    expect([msi.enabled, msi.maskable, msi.vectors, msi.granted]).toEqual([true, true, 16, 4]);
    expect([msi.addressLow, msi.addressHigh, msi.data]).toEqual([0xfee0_0ffc | 0, 0x1234_5678, 0x4041]);
    expect([msi.mask >>> 0, msi.pending >>> 0]).toEqual([0x8000_0001, 0x8000_0000]);
    msi.setPending(3);
    expect([...data.subarray(AT + 20, AT + 24)]).toEqual([3, 0, 0, 0]);
  });

  it('of 32 bits: the data is where the other has the upper address, and no bit is a mask', () => {
    const data = bytes(0x0000_0005, 0xfee0_0004, 0xffff_1234, 0xffff_ffff, 0xffff_ffff);
    const msi = new MsiRegisters(data, AT);
    expect([msi.enabled, msi.maskable, msi.vectors, msi.granted]).toEqual([false, false, 1, 1]);
    expect([msi.addressHigh, msi.data, msi.mask, msi.pending]).toEqual([0, 0x1234, 0, 0]);
    msi.setPending(0);
    expect(new DataView(data.buffer).getUint32(AT + 16, true)).toBe(0xffff_ffff);
  });

  it('of 32 bits with masks', () => {
    const msi = new MsiRegisters(bytes(0x0100_0005, 0, 0x1234, 5, 6), AT);
    expect([msi.mask, msi.pending]).toEqual([5, 6]);
  });

  it.each([
    ['Extended Message Data counts where it is enabled', 0x0601_0005, 0xbbbb_aaaa],
    ['and not where it is only there', 0x0201_0005, 0xaaaa],
  ])('%s', (_, head, expected) => {
    expect(new MsiRegisters(bytes(head, 0, 0xbbbb_aaaa), AT).data).toBe(expected);
  });

  it.each([
    [0x007e, 32, 32],
    [0x0074, 4, 4],
    [0x006a, 32, 32],
    [0x000e, 32, 1],
  ])('control %i: %i vectors, %i granted', (control, vectors, granted) => {
    const msi = new MsiRegisters(bytes((control << 16) | 5), AT);
    expect([msi.vectors, msi.granted]).toEqual([vectors, granted]);
  });
});

describe('MSI-X', () => {
  it('says how many, where, and whether', () => {
    const msix = new MsixRegisters(bytes((0x87ff << 16) | 0x11, 0xffff_fff8 | 3, 0x8000 | 5), AT);
    expect([msix.enabled, msix.masked, msix.vectors]).toEqual([true, false, 2048]);
    expect([msix.tableBar, msix.tableOffset, msix.pendingBar, msix.pendingOffset]).toEqual([3, 0xffff_fff8, 5, 0x8000]);
    const other = new MsixRegisters(bytes((0x4000 << 16) | 0x11), AT);
    expect([other.enabled, other.masked, other.vectors]).toEqual([false, true, 1]);
  });
});
