import { describe, expect, it } from 'vitest';
import { RegisterMap, registerLayout } from '../../../server/src/core/devices/register-map.ts';

const TABLE = {
  ident: { offset: 0x00, bytes: 4, access: 'ro', reset: 0x1234_5678, means: '' },
  control: { offset: 0x04, bytes: 4, access: 'rw', reset: 0x10, writable: 0x00ff, means: '' },
  address: { offset: 0x08, bytes: 8, access: 'rw', reset: 0x40, writable: 0xffff_ffc0, means: '' },
  doorbell: { offset: 0x10, bytes: 4, access: 'wo', reset: 0, means: '' },
  word: { offset: 0x20, bytes: 4, access: 'rw', reset: 0, sizes: [4], means: '' },
  wide: { offset: 0x28, bytes: 8, access: 'rw', reset: 0, sizes: [4, 8], means: '' },
} as const;
const LAYOUT = registerLayout(TABLE);
type Name = keyof typeof TABLE;

function mapOf(accepts: (name: Name) => boolean = () => true) {
  const writes: [Name, number, number][] = [];
  const map = new RegisterMap(LAYOUT, (name, low, high) => {
    writes.push([name, low, high]);
    return accepts(name);
  });
  return { map, writes };
}

describe('a register map', () => {
  it('is read whole, by part, and two registers at once', () => {
    const { map } = mapOf();
    expect(map.read(0, 4)).toBe(0x1234_5678);
    expect([map.read(0, 1), map.read(1, 1), map.read(2, 2)]).toEqual([0x78, 0x56, 0x1234]);
    expect([map.read(0, 8), map.readHigh(0)]).toEqual([0x1234_5678, 0x10]);
  });

  it('is all ones where nothing is, and where only writing is', () => {
    const { map } = mapOf();
    expect([map.read(0x18, 4), map.read(0x18, 2), map.read(0x1000, 1)]).toEqual([0xffff_ffff, 0xffff, 0xff]);
    expect([map.read(0x10, 4), map.read(0x10, 8), map.readHigh(0x10)]).toEqual([0xffff_ffff, 0xffff_ffff, 0xffff_ffff]);
  });

  it('changes writable bits only, by whole and by part', () => {
    const { map, writes } = mapOf();
    map.write(4, 4, 0xffff_ffff);
    expect(map.read(4, 4)).toBe(0xff);
    map.write(5, 1, 0xab);
    expect(map.read(4, 4)).toBe(0xff);
    map.write(4, 1, 0x01);
    expect(map.read(4, 4)).toBe(0x01);
    expect(writes.map(([name]) => name)).toEqual(['control', 'control', 'control']);
  });

  it('never changes what is read-only, and tells nobody', () => {
    const { map, writes } = mapOf();
    for (const bytes of [1, 2, 4]) map.write(0, bytes, 0);
    expect([map.read(0, 4), writes]).toEqual([0x1234_5678, []]);
  });

  it('writes two registers by one access of 8 bytes, the read-only one not', () => {
    const { map } = mapOf();
    map.write(0, 8, 0, 0x77);
    expect([map.read(0, 4), map.read(4, 4)]).toEqual([0x1234_5678, 0x77]);
  });

  it('has registers of 8 bytes, written whole and by half and by byte, each as one write', () => {
    const { map, writes } = mapOf();
    map.write(8, 8, 0x8000_00ff, 0x1);
    expect([map.low('address'), map.high('address')]).toEqual([0x8000_00c0, 1]);
    map.write(0xc, 4, 0x9);
    map.write(0x9, 1, 0x12);
    expect([map.read(8, 8), map.readHigh(8)]).toEqual([0x8000_12c0, 9]);
    expect(writes).toEqual([
      ['address', 0x8000_00c0, 1],
      ['address', 0x8000_00c0, 9],
      ['address', 0x8000_12c0, 9],
    ]);
  });

  it('keeps nothing of a write-only register: each write is what it says', () => {
    const { map, writes } = mapOf();
    map.write(0x10, 4, 0xffff);
    map.write(0x11, 1, 0x22);
    expect(writes).toEqual([
      ['doorbell', 0xffff, 0],
      ['doorbell', 0x2200, 0],
    ]);
  });

  it('keeps what it was when the model does not accept the write', () => {
    const { map } = mapOf((name) => name !== 'control');
    map.write(4, 4, 0x55);
    expect(map.read(4, 4)).toBe(0x10);
  });

  it('where sizes are given, knows accesses of these sizes at the offset, and extends a narrower one', () => {
    const { map, writes } = mapOf();
    map.write(0x20, 2, 0xffff);
    map.write(0x20, 8, 0xffff, 0xffff);
    map.write(0x22, 2, 0xffff);
    expect([map.read(0x20, 4), writes]).toEqual([0, []]);
    expect([map.read(0x20, 2), map.read(0x20, 8)]).toEqual([0xffff, 0xffff_ffff]);
    map.write(0x28, 8, 0x1, 0x2);
    expect([map.read(0x28, 8), map.readHigh(0x28), map.read(0x28, 4)]).toEqual([1, 2, 1]);
    map.write(0x2c, 4, 0x7);
    expect([map.read(0x2c, 4), map.high('wide')]).toEqual([0xffff_ffff, 2]);
    map.write(0x28, 4, 0x5);
    expect([map.low('wide'), map.high('wide')]).toEqual([5, 0]);
  });

  it('is as new after a reset, and what was saved after a load; a copy is a copy', () => {
    const { map } = mapOf();
    map.write(8, 8, 0x1000, 0x1);
    const saved = map.save();
    map.write(8, 8, 0x2000, 0x2);
    map.reset();
    expect([map.low('address'), map.high('address')]).toEqual([0x40, 0]);
    map.load(saved);
    expect([map.low('address'), map.high('address')]).toEqual([0x1000, 1]);
  });

  it('is made of registers that are aligned and apart', () => {
    const at = (offset: number) => ({ offset, bytes: 8, access: 'rw', reset: 0, means: '' }) as const;
    expect(() => registerLayout({ a: at(4) })).toThrow('register a is not aligned');
    expect(() => registerLayout({ a: at(0), b: { ...at(0), offset: 4, bytes: 4 } })).toThrow('register b is where a is');
  });
});
