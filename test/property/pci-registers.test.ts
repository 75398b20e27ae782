/**
 * Laws of registers, for every capability of both tables with random contents: a model that knows one bit at a time, and no mask, says what each write
 * and each reset must leave.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CapabilityBody, type CapabilityKind } from '../../server/src/core/pci/capability-body.ts';
import { CAPABILITIES } from '../../server/src/core/pci/capability-table.ts';
import { EXTENDED_CAPABILITIES } from '../../server/src/core/pci/extended-capability-table.ts';
import { headerRegisters } from '../../server/src/core/pci/header.ts';
import { ConfigSpace } from '../../server/src/core/pci/index.ts';
import type { Field, RegisterTable, ResetKind } from '../../server/src/core/pci/register-table.ts';

const EXPRESS_AT = 0x40;
const STANDARD_AT = 0x80;
const EXTENDED_AT = 0x100;
const EXPRESS_ID = 0x10;
const POWER_ID = 0x01;
const ATS_ID = 0x0f;
const SRIOV_ID = 0x10;
const RESETS: readonly ResetKind[] = ['flr', 'd3hot', 'conventional', 'cold'];

interface Subject {
  readonly kind: CapabilityKind;
  readonly extended: boolean;
}
const SUBJECTS: readonly Subject[] = [
  ...CAPABILITIES.map((kind) => ({ kind, extended: false })),
  ...EXTENDED_CAPABILITIES.map((kind) => ({ kind, extended: true })),
];

interface Made {
  readonly image: Uint8Array;
  readonly at: number;
  readonly body: CapabilityBody;
}

/** A function with one capability of random contents, beside a PCI Express capability that says what kind of function it is. */
function make({ kind, extended }: Subject, contents: Uint8Array, portType: number, bridge: boolean, version: number): Made {
  const image = new Uint8Array(4096);
  const express = !extended && kind.id === EXPRESS_ID;
  const at = extended ? EXTENDED_AT : express ? EXPRESS_AT : STANDARD_AT;
  // As much as fits, but no 1 in a bit that reads zero.
  image.set(contents.subarray(0, (extended ? 0x1000 : 0x100) - at), at);
  image[6] = 0x10;
  image[0x0e] = bridge ? 1 : 0;
  image[0x34] = EXPRESS_AT;
  image.set([EXPRESS_ID, express || extended ? 0 : STANDARD_AT, version | (portType << 4)], EXPRESS_AT);
  if (!express) image.fill(0, EXPRESS_AT + 3, STANDARD_AT);
  if (extended) new DataView(image.buffer).setUint32(at, (kind.id | 0x1_0000) >>> 0, true);
  else if (!express) image.set([kind.id, 0], at);
  // Sizes of VF BARs are what their addresses say, which is a matter of its own.
  if (extended && kind.id === SRIOV_ID) image.fill(0, at + 0x24, at + 0x3c);
  // More Resizable BARs than there is a table for would change base address registers.
  if (extended && kind.id === 0x15) image[at + 8] = 0;
  const body = new CapabilityBody(image, at, portType, extended ? 1 : 0);
  for (const register of Object.values(kind.registers(body))) {
    for (const field of Object.values(register.fields)) {
      if (field.access !== 'trigger') continue;
      const bit = field.at[0];
      image[at + register.offset + (bit >> 3)]! &= ~(1 << (bit & 7));
    }
  }
  return { image, at, body: new CapabilityBody(image, at, portType, extended ? 1 : 0) };
}

/** Every bit that some field names, by its number in configuration space. */
function bitsOf(table: RegisterTable, at: number, end: number, bits: Map<number, { field: Field; reset: boolean }>): void {
  for (const register of Object.values(table)) {
    if (at + register.offset + register.bytes > end) continue;
    for (const field of Object.values(register.fields)) {
      for (let bit = field.at[0]; bit <= field.at[1]; bit++) {
        const reset = (BigInt(field.reset ?? 0) >> BigInt(bit - field.at[0])) & 1n;
        bits.set((at + register.offset) * 8 + bit, { field, reset: reset === 1n });
      }
    }
  }
}

class Model {
  readonly bits: boolean[];
  readonly #fields = new Map<number, { field: Field; reset: boolean }>();
  readonly #ats: number;
  readonly #power: number;

  constructor(subject: Subject, { image, at, body }: Made) {
    this.bits = Array.from({ length: image.length * 8 }, (_, bit) => ((image[bit >> 3]! >> (bit & 7)) & 1) === 1);
    bitsOf(headerRegisters(image, true), 0, 0x40, this.#fields);
    const end = Math.min(at + subject.kind.bytes(body), subject.extended ? 0x1000 : 0x100);
    bitsOf(subject.kind.registers(body), at, end, this.#fields);
    if (subject.extended || subject.kind.id !== EXPRESS_ID) {
      const express = CAPABILITIES.find((kind) => kind.id === EXPRESS_ID)!;
      const other = new CapabilityBody(image, EXPRESS_AT, body.portType, 0);
      bitsOf(express.registers(other), EXPRESS_AT, EXPRESS_AT + express.bytes(other), this.#fields);
    }
    this.#ats = subject.extended && subject.kind.id === ATS_ID ? at + 6 : -1;
    this.#power = !subject.extended && subject.kind.id === POWER_ID ? at + 4 : -1;
  }

  write(offset: number, bytes: number, value: number): void {
    const stuFixed = this.#ats >= 0 && this.bits[this.#ats * 8 + 15] === true;
    const state = this.#stateAsked(offset, bytes, value);
    for (let bit = 0; bit < bytes * 8; bit++) {
      const at = offset * 8 + bit;
      const given = Math.floor(value / 2 ** bit) % 2 === 1;
      const entry = this.#fields.get(at);
      if (entry === undefined) continue;
      // The Smallest Translation Unit while ATS is enabled; a power state that the function does not have.
      if (stuFixed && at >= this.#ats * 8 && at < this.#ats * 8 + 5) continue;
      if (state === 'lacking' && (at === this.#power * 8 || at === this.#power * 8 + 1)) continue;
      switch (entry.field.access) {
        case 'rw':
        case 'rws':
          this.bits[at] = given;
          break;
        case 'rw1c':
        case 'rw1cs':
          if (given) this.bits[at] = false;
          break;
        case 'rw1s':
        case 'rw1ss':
          if (given) this.bits[at] = true;
          break;
        default:
          break;
      }
    }
  }

  /** The kind of a bit; `state` for those of the power state, which restore leaves. */
  accessOf(at: number): string {
    if (this.#power >= 0 && (at === this.#power * 8 || at === this.#power * 8 + 1)) return 'state';
    return this.#fields.get(at)?.field.access ?? 'ro';
  }

  reset(kind: ResetKind): void {
    for (const [at, { field, reset }] of this.#fields) {
      const { access } = field;
      if (access === 'trigger' || access === 'hwinit' || (access === 'ro' && field.reset === undefined)) continue;
      const sticky = access === 'rws' || access === 'rw1cs' || access === 'rw1ss' || access === 'ros';
      if (kind !== 'cold' && sticky) continue;
      if (kind === 'flr' && field.survivesFlr === true) continue;
      this.bits[at] = reset;
    }
  }

  #stateAsked(offset: number, bytes: number, value: number): 'lacking' | 'other' {
    if (this.#power < offset || this.#power >= offset + bytes) return 'other';
    const state = Math.floor(value / 2 ** (8 * (this.#power - offset))) % 4;
    const has = (bit: number): boolean => this.bits[(this.#power - 2) * 8 + bit] === true;
    return (state === 1 && !has(9)) || (state === 2 && !has(10)) ? 'lacking' : 'other';
  }
}

/** Where a space is not what the model has: the byte, or undefined. */
function difference(space: ConfigSpace, model: Model): string | undefined {
  const image = space.image();
  for (let at = 0; at < image.length; at++) {
    let byte = 0;
    for (let bit = 0; bit < 8; bit++) if (model.bits[at * 8 + bit] === true) byte |= 1 << bit;
    if (byte !== image[at]) return `byte 0x${at.toString(16)} is 0x${image[at]!.toString(16)}, and 0x${byte.toString(16)} in the model`;
  }
  return undefined;
}

interface Write {
  readonly place: number;
  readonly bytes: number;
  readonly value: number;
}
const write: fc.Arbitrary<Write> = fc.record({
  place: fc.nat(0x1f),
  bytes: fc.constantFrom(1, 2, 4),
  value: fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff)),
});
const contents = fc.uint8Array({ minLength: 0x80, maxLength: 0x80 });
const portTypes = fc.constantFrom(0, 1, 4, 5, 6, 7, 8, 9, 10);
const made = fc.record({ contents, portType: portTypes, bridge: fc.boolean(), version: fc.constantFrom(1, 2) });

/** Around the capability; one in four in the header, clear of its base address registers. */
function placed(at: number, { place, bytes, value }: Write): { readonly offset: number; readonly bytes: number; readonly value: number } {
  const word = place % 4 === 3 ? ([0x04, 0x0c, 0x3c] as const)[place % 3]! : at + 4 * place;
  return { offset: word + (value & 3 & ~(bytes - 1)), bytes, value: bytes === 4 ? value : value % 2 ** (8 * bytes) };
}

// long: the laws, one after the other
describe.each(SUBJECTS.map((subject) => ({ ...subject, name: subject.kind.name })))('$name', (subject) => {
  it('names no bit twice and none outside of itself', () => {
    fc.assert(
      fc.property(made, ({ contents: bytes, portType, bridge, version }) => {
        const { body } = make(subject, bytes, portType, bridge, version);
        const named = new Set<number>();
        for (const register of Object.values(subject.kind.registers(body))) {
          expect(register.cite).not.toBe('');
          for (const { at } of Object.values(register.fields)) {
            expect(at[1]).toBeLessThan(8 * register.bytes);
            for (let bit = at[0]; bit <= at[1]; bit++) {
              const place = register.offset * 8 + bit;
              expect(named.has(place)).toBe(false);
              named.add(place);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('after any writes and resets is what a model of single bits says', () => {
    fc.assert(
      fc.property(made, fc.array(fc.oneof(write, fc.constantFrom(...RESETS)), { maxLength: 24 }), (parts, steps) => {
        const given = make(subject, parts.contents, parts.portType, parts.bridge, parts.version);
        const space = new ConfigSpace(given.image);
        const model = new Model(subject, given);
        for (const step of steps) {
          if (typeof step === 'string') {
            space.reset(step);
            model.reset(step);
          } else {
            const { offset, bytes, value } = placed(given.at, step);
            space.write(offset, bytes, value);
            model.write(offset, bytes, value);
          }
          expect(difference(space, model)).toBe(undefined);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('takes a dword as it takes its four bytes', () => {
    fc.assert(
      fc.property(made, fc.array(write, { maxLength: 8 }), ({ contents: bytes, portType, bridge, version }, writes) => {
        const given = make(subject, bytes, portType, bridge, version);
        const [whole, parts] = [new ConfigSpace(given.image), new ConfigSpace(given.image)];
        for (const one of writes) {
          const { offset, value } = placed(given.at, { ...one, bytes: 4 });
          let effects = 0;
          for (let i = 0; i < 4; i++) effects |= parts.write(offset + i, 1, Math.floor(value / 2 ** (8 * i)) % 256);
          expect(whole.write(offset, 4, value)).toBe(effects);
          expect(whole.image()).toEqual(parts.image());
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is given back by restore what writes and resets took', () => {
    fc.assert(
      fc.property(made, fc.array(write, { maxLength: 12 }), fc.constantFrom(...RESETS), (parts, writes, reset) => {
        const given = make(subject, parts.contents, parts.portType, parts.bridge, parts.version);
        const space = new ConfigSpace(given.image);
        const saved = space.save();
        for (const one of writes) {
          const { offset, bytes, value } = placed(given.at, one);
          space.write(offset, bytes, value);
        }
        space.reset(reset);
        const state = space.powerState;
        const unlike = space.image();
        space.restore(saved);
        const after = space.image();
        const model = new Model(subject, given);
        for (let at = 0; at < after.length * 8; at++) {
          const [was, now, before] = [saved, after, unlike].map((image) => ((image[at >> 3]! >> (at & 7)) & 1) === 1);
          const access = model.accessOf(at);
          if (access === 'state') continue;
          if (now !== (access === 'rw' || access === 'rws' ? was : before))
            expect.fail(`bit ${at & 7} of byte 0x${(at >> 3).toString(16)}`);
        }
        expect(space.powerState).toBe(state);
      }),
      { numRuns: 30 },
    );
  });
});
