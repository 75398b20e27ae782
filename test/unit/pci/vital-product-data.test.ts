/** Vital Product Data through its registers, as software reads and writes it. Offsets and bits are restated here. */
import { describe, expect, it } from 'vitest';
import type { FunctionSpec } from '../../../server/src/core/machine/index.ts';
import { dmaProbeConfig } from '../../../server/src/core/pci/index.ts';
import { CoreMachine, PROBE, probe } from '../../kit/core-machine.ts';
import { PortRegisters } from '../../kit/port-registers.ts';

const VPD = 3;
const FLAG = 0x8000;
/** An identifier of 5 bytes, VPD-R of 7 from 0x0b on, VPD-W of 6 from 0x15 on, and the end. */
const IDENTIFIER = [0x82, 5, 0, ...new TextEncoder().encode('probe')];
const READ_ONLY = [0x90, 7, 0, 0x50, 0x4e, 1, 0x37, 0x52, 0x56, 0];
const WRITABLE = [0x91, 6, 0, 0x59, 0x41, 3, 0x61, 0x62, 0x63];
const DATA = Uint8Array.from([...IDENTIFIER, ...READ_ONLY, ...WRITABLE, 0x78]);

class Bench extends CoreMachine {
  readonly registers: PortRegisters;
  readonly #at: number;

  constructor(data: Uint8Array | null = DATA) {
    const config = dmaProbeConfig({ integrated: true, capabilities: { vitalProductData: {} } });
    const fn: FunctionSpec = { ...probe(PROBE), config, ...(data === null ? {} : { vitalProductData: data }) };
    super({ functions: [fn] });
    this.registers = new PortRegisters(this, PROBE);
    this.#at = this.registers.standard(VPD);
  }
  ask(address: number): number {
    this.registers.set(this.#at + 2, 2, address);
    return this.registers.get(this.#at + 2, 2);
  }
  word(address: number): number {
    expect(this.ask(address)).toBe((address & ~3) | FLAG | (address & 3));
    return this.registers.get(this.#at + 4);
  }
  put(address: number, value: number): void {
    this.registers.set(this.#at + 4, 4, value);
    expect(this.ask(address | FLAG)).toBe(address);
  }
  all(): Uint8Array {
    const words = Uint32Array.from({ length: Math.ceil(DATA.length / 4) }, (_, i) => this.word(4 * i));
    return new Uint8Array(words.buffer).slice(0, DATA.length);
  }
}

describe('Vital Product Data', () => {
  it('is read a word at a time: the flag says that the data is there', () => {
    const m = new Bench();
    expect(m.all()).toEqual(DATA);
    // Beyond the end nothing is.
    expect([m.word(0x1c) >>> 8, m.word(0x7ffc)]).toEqual([0, 0]);
  });

  it('is written only in its writable resource, byte by byte', () => {
    const m = new Bench();
    for (let at = 0; at < DATA.length + 8; at += 4) m.put(at, 0x2121_2121);
    const want = DATA.slice();
    want.fill(0x21, IDENTIFIER.length + READ_ONLY.length + 3, DATA.length - 1);
    expect(m.all()).toEqual(want);
  });

  it('outlives every reset, of which none starts an access', () => {
    const m = new Bench();
    m.put(0x18, 0x5a5a_5a5a);
    const before = m.all();
    m.reset(PROBE);
    m.call('ok', { kind: 'cold-reset', bdf: undefined });
    expect(m.all()).toEqual(before);
    expect(before).not.toEqual(DATA);
  });

  it('is asked by a write that has the flag in it: of the upper byte alone, and of a dword', () => {
    const m = new Bench();
    const at = m.registers.standard(VPD);
    m.word(4);
    const first = m.registers.get(at + 4);
    m.registers.set(at + 2, 1, 0);
    expect(m.registers.get(at + 4)).toBe(first);
    m.registers.set(at + 3, 1, 0);
    expect([m.registers.get(at + 3, 1), m.registers.get(at + 4)]).toEqual([0x80, new DataView(DATA.buffer).getUint32(0, true)]);
    m.registers.set(at, 4, 8 << 16);
    expect(m.registers.get(at + 4)).toBe(new DataView(DATA.buffer).getUint32(8, true));
  });

  it('without memory behind them the registers hold what is written', () => {
    const m = new Bench(null);
    expect(m.ask(0)).toBe(0);
    expect(m.ask(FLAG | 4)).toBe(FLAG | 4);
  });

  it.each([
    ['a resource longer than the memory', [0x91, 0xff, 0xff, 1]],
    ['no resource at all', [0, 0, 0, 0]],
    ['nothing', []],
    ['half a resource', [0x91]],
  ])('of %s is read and written without harm', (_what, bytes) => {
    const m = new Bench(Uint8Array.from(bytes));
    m.put(0, 0x0403_0201);
    m.put(0x7ffc, -1);
    expect(m.word(0) & 0xff).toBe(bytes[0] ?? 0);
  });
});
