/**
 * The rings of dma-probe against a model that does the same byte by byte: random descriptors, right and wrong, in rings of random sizes that are filled and
 * gone round in random portions, over pages that are there, read-only, and missing.
 */
import { expect, it } from 'vitest';
import { OUTCOMES, Prng, type Outcome } from '../../server/src/core/base/index.ts';
import { CoreMachine, PROBE } from '../kit/core-machine.ts';
import {
  DESCRIPTOR_BYTES,
  FLAGS,
  IDLE,
  READ,
  START,
  STATUS_OFFSET,
  WRITE,
  descriptor,
  queueAt,
  scatterList,
  slowCrc32,
  statusOf,
  type DescriptorFields,
} from '../kit/probe-driver.ts';

const RUNS = 60;
const DESCRIPTORS = 40;
const PAGE = 4096;
/** Where things are in the function's addresses: ring, scatter lists, data. */
const [RING, LISTS, DATA] = [0x10_0000, 0x20_0000, 0x30_0000];
/** Of the pages from DATA on. */
const RIGHTS = ['rw', 'rw', 'none', 'rw', 'ro', 'rw'] as const;
const WORDS = RIGHTS.length * PAGE;
const LENGTH_MAX = 65536;

interface Wanted {
  readonly fields: DescriptorFields;
  readonly segments: readonly (readonly [number, number])[];
  /** The number of the error that it must end with, before any DMA of data; 0: none. */
  readonly wrong: number;
}

class Run {
  readonly chance: Prng;
  readonly m = new CoreMachine();
  readonly at = queueAt(3);
  readonly entries: number;
  readonly #pages = new Map<number, bigint>();
  /** What data pages hold, and a missing one nothing. */
  readonly expected = new Uint8Array(WORDS);
  done = 0;
  failed = 0;

  constructor(seed: number) {
    this.chance = new Prng(seed);
    this.entries = 2 + this.chance.below(9);
    for (const iova of [RING, LISTS, ...RIGHTS.map((_, index) => DATA + index * PAGE)]) this.#page(iova);
    for (let at = 0; at < WORDS; at++) this.expected[at] = this.chance.below(256);
    for (const index of RIGHTS.keys()) this.put(DATA + index * PAGE, this.expected.subarray(index * PAGE, (index + 1) * PAGE));
    this.write(this.at.ringBase, RING);
    this.write(this.at.ringEntries, this.entries);
    this.write(this.at.command, START);
  }

  #page(iova: number): void {
    const address = this.m.allocPage();
    this.#pages.set(iova, address);
    const rights = iova >= DATA ? RIGHTS[(iova - DATA) / PAGE] : 'rw';
    if (rights === 'none') return;
    const command = this.m.mapCommand(PROBE, iova, address);
    this.m.call('ok', rights === 'ro' ? ({ ...command, access: 1 } as typeof command) : command);
  }

  write(offset: number, valueLow: number): void {
    this.m.call('ok', { kind: 'region-write', bdf: PROBE, region: 0, offset, bytes: 4, valueLow, valueHigh: 0 });
  }
  read(offset: number): number {
    return this.m.call('region-read', { kind: 'region-read', bdf: PROBE, region: 0, offset, bytes: 4 }).valueLow;
  }
  put(iova: number, data: Uint8Array): void {
    const page = this.#pages.get(iova - (iova % PAGE)) ?? 0n;
    this.m.call('ok', { kind: 'memory-write', address: page + BigInt(iova % PAGE), data });
  }
  get(iova: number, bytes: number): Uint8Array {
    const page = this.#pages.get(iova - (iova % PAGE)) ?? 0n;
    return this.m.call('memory-read', { kind: 'memory-read', address: page + BigInt(iova % PAGE), bytes }).data;
  }

  one(slot: number): Wanted {
    const { chance } = this;
    const operation = chance.below(2) === 0 ? WRITE : READ;
    const pattern = chance.below(3);
    const seed = chance.next();
    const place = (): readonly [number, number] => {
      const bytes = 1 + chance.below(chance.below(3) === 0 ? 6000 : 40);
      return [DATA + chance.below(WORDS - bytes), bytes];
    };
    const wrong = chance.below(8) === 0;
    if (chance.below(2) === 0) {
      const segment = place();
      const fields = { control: operation, address: segment[0], length: segment[1], pattern, seed };
      return wrong ? this.#spoilt(fields) : { fields, segments: [segment], wrong: 0 };
    }
    const segments = Array.from({ length: 1 + chance.below(4) }, place);
    const list = LISTS + slot * 128;
    this.put(list, scatterList(...segments));
    const fields = { control: operation | FLAGS.scatter, address: list, length: segments.length, pattern, seed };
    return { fields, segments, wrong: 0 };
  }

  #spoilt(fields: DescriptorFields): Wanted {
    const spoilt: readonly [Partial<DescriptorFields>, number][] = [
      [{ control: 7 }, 1],
      [{ control: fields.control | (1 << 20) }, 2],
      [{ length: LENGTH_MAX + 1 }, 3],
      [{ control: WRITE, pattern: 77 }, 5],
      [{ address: 0xffff_ffff_ffff_ffffn, length: 2 }, 7],
    ];
    const [changes, wrong] = spoilt[this.chance.below(spoilt.length)]!;
    return { fields: { ...fields, ...changes }, segments: [], wrong };
  }

  /** What the descriptor must come to; memory is changed as it must be. */
  expect({ fields, segments, wrong }: Wanted): ReturnType<typeof statusOf> {
    this.done++;
    const refused = { done: true, outcome: 0, error: wrong, bytesDone: 0, checksum: 0, sequence: this.done, failedAddress: 0n };
    if (wrong !== 0) {
      this.failed++;
      return refused;
    }
    const writes = (fields.control & 0xff) === WRITE;
    const moved: number[] = [];
    for (const [start, bytes] of segments) {
      for (let at = start; at < start + bytes; at++) {
        const rights = RIGHTS[Math.floor((at - DATA) / PAGE)]!;
        const outcome: Outcome = rights === 'none' ? 'not-present' : rights === 'ro' && writes ? 'not-permitted' : 'performed';
        if (outcome !== 'performed') {
          this.failed++;
          const checksum = slowCrc32(Uint8Array.from(moved));
          return {
            ...refused,
            outcome: OUTCOMES.indexOf(outcome),
            error: 9,
            bytesDone: moved.length,
            checksum,
            failedAddress: BigInt(at),
          };
        }
        if (writes) this.expected[at - DATA] = this.#patternByte(fields, moved.length);
        moved.push(this.expected[at - DATA]!);
      }
    }
    return { ...refused, bytesDone: moved.length, checksum: slowCrc32(Uint8Array.from(moved)) };
  }

  #patternByte({ pattern = 0, seed = 0 }: DescriptorFields, at: number): number {
    const word = at >> 2;
    let value = pattern === 0 ? seed : seed + word;
    if (pattern === 2) {
      const draws = this.#draws(seed, word);
      value = draws[word]!;
    }
    return (value >>> (8 * (at & 3))) & 0xff;
  }
  readonly #drawn = new Map<number, { readonly prng: Prng; readonly words: number[] }>();
  #draws(seed: number, word: number): readonly number[] {
    let known = this.#drawn.get(seed);
    if (known === undefined) this.#drawn.set(seed, (known = { prng: new Prng(seed), words: [] }));
    while (known.words.length <= word) known.words.push(known.prng.next());
    return known.words;
  }

  go(): void {
    let tail = 0;
    for (let made = 0; made < DESCRIPTORS;) {
      const portion = 1 + this.chance.below(this.entries - 1);
      const wanted: (readonly [number, Wanted])[] = [];
      for (let i = 0; i < portion; i++, made++) {
        const slot = tail;
        const one = this.one(slot);
        this.put(RING + slot * DESCRIPTOR_BYTES, new Uint8Array(DESCRIPTOR_BYTES));
        this.put(RING + slot * DESCRIPTOR_BYTES, descriptor(one.fields));
        wanted.push([slot, one]);
        tail = (tail + 1) % this.entries;
      }
      this.write(this.at.tail, tail);
      for (const [slot, one] of wanted) {
        const status = this.expect(one);
        expect(statusOf(this.get(RING + slot * DESCRIPTOR_BYTES + STATUS_OFFSET, 32)), JSON.stringify(one.fields, textOfBig)).toEqual(
          status,
        );
      }
      const registers = [this.at.state, this.at.head, this.at.completed, this.at.failed].map((offset) => this.read(offset));
      expect(registers).toEqual([IDLE, tail, this.done, this.failed]);
    }
    for (const index of RIGHTS.keys()) {
      const page = this.expected.subarray(index * PAGE, (index + 1) * PAGE);
      expect(Buffer.compare(this.get(DATA + index * PAGE, PAGE), page), `page ${index}`).toBe(0);
    }
  }
}

function textOfBig(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}

it('a ring does what a model that does it byte by byte does', { timeout: 60_000 }, () => {
  for (let seed = 1; seed <= RUNS; seed++) new Run(seed).go();
});
