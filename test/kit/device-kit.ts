/**
 * What every model of the catalogue must do, whatever it is: a check takes a subject and returns what is wrong. A subject says how a model is laid out and how a
 * driver makes it write to memory; `models` of a bench puts another model in its place, so that each check can be shown to fail.
 */
import { createModel, type FunctionModel, type ModelName, type ModelPorts } from '../../server/src/core/devices/index.ts';
import type { BarRegisterTable } from '../../server/src/core/devices/register-map.ts';
import { CoreMachine, MS, PROBE } from './core-machine.ts';
import { FakePorts } from './fake-ports.ts';

/** Registers of a BAR from an offset on. */
export interface KitRegisters {
  readonly bar: number;
  readonly base: number;
  readonly table: BarRegisterTable;
}

export interface Subject {
  readonly name: ModelName;
  readonly config: Uint8Array;
  readonly barBytes: readonly bigint[];
  readonly registers: readonly KitRegisters[];
  /** What a driver does so that the model writes to {@link DATA}, whatever it was doing; undefined: it does no DMA of its own. */
  readonly startDma?: (bench: Bench) => void;
}

export type Models = typeof createModel;
export type Check = (subject: Subject, models?: Models) => readonly string[];

/** Where a page for the driver's own use, and the page that the model's DMA is to reach, are in the function's addresses. */
export const [RING, DATA] = [0x10_0000, 0x20_0000];
const UNTOUCHED = 0xee;
const DATA_BYTES = 4096;
const [COMMAND, BUS_MASTER] = [0x04, 4];
/** By then everything that a model does of itself is over. */
const SETTLED_MS = 1000;
const STEP_MS = 10;
/** Of each request, so that a model's DMA can be met half way. */
const LATENCY_MS = 1;
const CONFIG = 7;

/** A machine with the subject at 00:02.0. */
export class Bench extends CoreMachine {
  readonly model: FunctionModel;
  readonly ring: bigint;
  readonly #data: bigint;

  constructor({ name, config, barBytes }: Subject, models: Models = createModel) {
    const made: FunctionModel[] = [];
    const functions = [{ bdf: PROBE, model: name, config, barBytes, label: '', latencyNs: LATENCY_MS * MS }];
    const make = (of: ModelName, ports: ModelPorts): FunctionModel => {
      const model = models(of, ports);
      made.push(model);
      return model;
    };
    super({ clock: 'manual', functions }, { models: make });
    this.model = made[0]!;
    [this.ring, this.#data] = [this.allocPage(), this.allocPage()];
    this.map(PROBE, RING, this.ring);
    this.map(PROBE, DATA, this.#data);
    this.#clear();
  }

  barRead(bar: number, offset: number, bytes = 4): number {
    return this.call('region-read', { kind: 'region-read', bdf: PROBE, region: bar, offset, bytes }).valueLow;
  }
  barWrite(bar: number, offset: number, value: number, bytes = 4): void {
    this.call('ok', { kind: 'region-write', bdf: PROBE, region: bar, offset, bytes, valueLow: value >>> 0, valueHigh: 0 });
  }
  put(address: bigint, data: Uint8Array): void {
    this.call('ok', { kind: 'memory-write', address, data });
  }

  /** Whether any byte of the page was written since the last time. */
  touched(): boolean {
    const { data } = this.call('memory-read', { kind: 'memory-read', address: this.#data, bytes: DATA_BYTES });
    this.#clear();
    return data.some((byte) => byte !== UNTOUCHED);
  }
  #clear(): void {
    this.put(this.#data, new Uint8Array(DATA_BYTES).fill(UNTOUCHED));
  }

  inFlight(): number {
    return this.call('ledger', { kind: 'ledger', bdf: PROBE }).entries.length;
  }

  settle(): void {
    this.advance(SETTLED_MS);
  }

  busMaster(on: boolean): void {
    const command = this.barRead(CONFIG, COMMAND, 2);
    this.barWrite(CONFIG, COMMAND, on ? command | BUS_MASTER : command & ~BUS_MASTER, 2);
  }
}

/** Every named register: where it is, its value as the machine has it, and a name for people. */
function* registersOf({ registers }: Subject) {
  for (const { bar, base, table } of registers) {
    for (const [name, register] of Object.entries(table))
      yield { bar, at: base + register.offset, name: `${name} (0x${(base + register.offset).toString(16)})`, register };
  }
}

function values(subject: Subject, bench: Bench): Map<string, number> {
  const seen = new Map<string, number>();
  for (const { bar, at, name, register } of registersOf(subject)) {
    seen.set(name, bench.barRead(bar, at));
    if (register.bytes === 8) seen.set(`${name}, upper half`, bench.barRead(bar, at + 4));
  }
  return seen;
}

function differences(what: string, now: ReadonlyMap<string, number>, wanted: ReadonlyMap<string, number>): string[] {
  return [...wanted]
    .filter(([name, value]) => now.get(name) !== value)
    .map(([name, value]) => `${name} is ${now.get(name)} ${what}, not ${value}`);
}

const PATTERNS = [0xffff_ffff, 0, 0x5a5a_5a5a, 0xa5a5_a5a5];

/** Read-only registers and bits never change by a write of any width, and where nothing is there is nothing. */
export const readOnlyBits: Check = (subject, models) => {
  const bench = new Bench(subject, models);
  const problems: string[] = [];
  for (const { bar, at, name, register } of registersOf(subject)) {
    if (register.access === 'wo') continue;
    const fixed = register.access === 'ro' ? 0xffff_ffff : ~(register.writable ?? 0xffff_ffff);
    if (fixed === 0) continue;
    const before = bench.barRead(bar, at) & fixed;
    for (const pattern of PATTERNS) {
      for (const bytes of register.access === 'ro' ? [1, 2, 4, 8] : [4]) {
        if (at % bytes === 0) bench.barWrite(bar, at, pattern, bytes);
        if ((bench.barRead(bar, at) & fixed) !== before) problems.push(`${name}: read-only bits change by a write of ${bytes} bytes`);
      }
    }
  }
  for (const bar of new Set(subject.registers.map((registers) => registers.bar))) {
    const named = new Set(
      [...registersOf(subject)].filter((one) => one.bar === bar).flatMap(({ at, register }) => [at, at + register.bytes - 4]),
    );
    for (let at = 0; at < 0x200; at += 4) {
      if (named.has(at)) continue;
      bench.barWrite(bar, at, 0x1234_5678);
      if (bench.barRead(bar, at) !== 0xffff_ffff) problems.push(`0x${at.toString(16)}: nothing is there, and it is not all ones`);
    }
  }
  return problems;
};

/** Each way to reset it, with everything written before that can be, leaves registers and state as at power-up. */
export const resets: Check = (subject, models) =>
  eachReset(subject, models, (bench) => {
    for (const { bar, at, register } of registersOf(subject))
      if (register.access === 'rw') bench.barWrite(bar, at, register.writable ?? 0xffff_ffff);
    subject.startDma?.(bench);
  });

/** A reset with a window while its DMA is in flight: nothing is written then or later, nothing stays in flight, and it is as at power-up. */
export const resetInDma: Check = (subject, models) => {
  if (subject.startDma === undefined) return [];
  return eachReset(subject, models, (bench) => {
    bench.arm(PROBE, 'hold', { count: 1000 });
    subject.startDma?.(bench);
    // Past the time that a model takes before its DMA is on the bus: whatever is there now is held.
    bench.advance(SETTLED_MS / 2);
  });
};

function eachReset(subject: Subject, models: Models | undefined, before: (bench: Bench) => void): string[] {
  // Nobody plays it here, and a function that is absent has no reset.
  if (subject.name === 'remote') return [];
  const problems: string[] = [];
  const methods = new Bench(subject, models).info(PROBE).resetMethods;
  for (const method of methods) {
    const fresh = new Bench(subject, models);
    const bench = new Bench(subject, models);
    before(bench);
    const reset = bench.start({ kind: 'reset', bdf: PROBE, method, window: true, deadlineNs: 0, onDeadline: 'abort' });
    for (let waited = 0; reset.reply === undefined && waited < SETTLED_MS; waited += STEP_MS) bench.advance(STEP_MS);
    bench.touched();
    bench.settle();
    bench.call('ok', { kind: 'fault-disarm', bdf: PROBE, fault: 'hold' });
    bench.release(PROBE);
    bench.settle();
    const after = `after ${method}`;
    if (reset.reply?.kind !== 'reset') problems.push(`${method} does not end: ${JSON.stringify(reset.reply)}`);
    if (bench.touched()) problems.push(`memory was written ${after}`);
    if (bench.inFlight() > 0) problems.push(`requests are in flight ${after}`);
    problems.push(...differences(after, values(subject, bench), values(subject, fresh)));
    if (!same(bench.model.save(), fresh.model.save())) problems.push(`its state is not that of power-up ${after}`);
  }
  return problems;
}

/** Its state is plain data, a copy, and all that it has: another one that loads it has the same registers and the same state. */
export const stateRoundTrip: Check = (subject, models = createModel) => {
  const bench = new Bench(subject, models);
  const problems: string[] = [];
  for (const { bar, at, register } of registersOf(subject)) {
    if (register.access === 'rw') bench.barWrite(bar, at, 0x0102_0384 & (register.writable ?? 0xffff_ffff));
  }
  subject.startDma?.(bench);
  for (let step = 0; step < 6; step++) {
    const saved = bench.model.save();
    const impure = impurity(saved, 'state');
    if (impure !== '') return [`${impure} is not plain data`];
    const copy = structuredClone(saved);
    const other = models(subject.name, new FakePorts());
    other.load(saved);
    if (!same(other.save(), copy)) problems.push('what was loaded is not what was saved');
    for (const { bar, at, name } of registersOf(subject)) {
      if (other.barRead(bar, at, 4) !== bench.model.barRead(bar, at, 4)) problems.push(`${name} is lost in the state`);
    }
    bench.settle();
    bench.model.reset();
    if (!same(saved, copy)) problems.push('what was saved changes with the model, or with the one that loaded it');
    subject.startDma?.(bench);
    bench.advance(step * LATENCY_MS);
  }
  return problems;
};

/** With Bus Master Enable clear its DMA does nothing and ends; set again, the next does. */
export const busMasterOff: Check = (subject, models) => {
  if (subject.startDma === undefined) return [];
  const bench = new Bench(subject, models);
  bench.busMaster(false);
  subject.startDma(bench);
  bench.settle();
  const problems = bench.touched() ? ['memory was written with Bus Master Enable clear'] : [];
  bench.busMaster(true);
  bench.settle();
  if (bench.touched()) problems.push('memory was written by what was started with Bus Master Enable clear');
  return [...problems, ...worksAgain(subject, bench, 'after Bus Master Enable was clear')];
};

/** In D3hot it has no registers and does no DMA; in D0 again it works. */
export const sleeping: Check = (subject, models) => {
  const bench = new Bench(subject, models);
  const pmcsr = powerControl(subject.config);
  if (pmcsr === undefined) return [];
  subject.startDma?.(bench);
  bench.barWrite(CONFIG, pmcsr, 3, 2);
  const problems: string[] = [];
  for (const { bar, at, name } of registersOf(subject)) {
    if (bench.barRead(bar, at) !== 0xffff_ffff) problems.push(`${name} answers in D3hot`);
  }
  // What was on the bus before may still land.
  bench.advance(LATENCY_MS);
  bench.touched();
  bench.settle();
  if (bench.touched()) problems.push('memory was written in D3hot');
  bench.barWrite(CONFIG, pmcsr, 0, 2);
  bench.settle();
  bench.barWrite(CONFIG, COMMAND, 6, 2);
  if (bench.touched()) problems.push('memory was written by what was started before D3hot');
  return [...problems, ...worksAgain(subject, bench, 'after D3hot')];
};

function worksAgain({ startDma }: Subject, bench: Bench, when: string): string[] {
  if (startDma === undefined) return [];
  startDma(bench);
  bench.settle();
  const problems = bench.touched() ? [] : [`its DMA does nothing ${when}`];
  return bench.inFlight() === 0 ? problems : [...problems, `requests are in flight ${when}`];
}

export const CHECKS: Readonly<Record<string, Check>> = { readOnlyBits, resets, resetInDma, stateRoundTrip, busMasterOff, sleeping };

/** Where Power Management Control/Status is: in the capability of ID 1. */
function powerControl(config: Uint8Array): number | undefined {
  for (let at = config[0x34] ?? 0; at !== 0; at = config[at + 1] ?? 0) if (config[at] === 1) return at + 4;
  return undefined;
}

/** The place of the first value that is neither plain nor bytes; '' where there is none. */
function impurity(value: unknown, where: string): string {
  if (value === undefined || value === null || ArrayBuffer.isView(value)) return '';
  if (['number', 'string', 'boolean'].includes(typeof value)) return '';
  if (typeof value !== 'object') return where;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return where;
  for (const [key, inner] of Object.entries(value)) {
    const found = impurity(inner, `${where}.${key}`);
    if (found !== '') return found;
  }
  return '';
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a, bytesAsNumbers) === JSON.stringify(b, bytesAsNumbers);
}
function bytesAsNumbers(_: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) ? [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] : value;
}
