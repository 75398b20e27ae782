/**
 * A kit for function models that live in programs of their own: what any PCI function has to do, tried on one of them from the host's side. It is reset many times, and
 * what hosts have set up in it is lost.
 */
import { IommudError } from './errors.ts';
import type { FunctionHandle } from './function-handle.ts';
import type { Machine } from './machine.ts';
import type { ResetMethod } from './names.ts';

export interface DeviceCheck {
  readonly name: string;
  /** Undefined: the function has nothing that it could be tried on. */
  readonly passed: boolean | undefined;
  /** What is wrong, and where; of what was not tried, why. */
  readonly text: string;
}

export interface CheckDeviceOptions {
  /** Wall clock, in which an access has to be answered. Default 1000. */
  readonly answerMs?: number;
}

const COMMAND = { at: 4, io: 1, memory: 2, busMaster: 4, interruptDisable: 0x400 } as const;
const MEMORY_AND_MASTER = COMMAND.memory | COMMAND.busMaster;
const FIRST_BAR = 0x10;
const CAPABILITIES = 0x34;
const POWER_MANAGEMENT = 1;
/** Power Management Control and Status, from its capability (PCI Power Management §3.2.4). */
const PMCSR = 4;
const D3HOT = 3;
const ALL_ONES = 0xffff_ffff;
/** Registers of a BAR that are read, at most: of a frame buffer the first will do. */
const REGISTERS_MAX = 1024;
const DEADLINE_MS = 10;
const READS_AT_ONCE = 64;
/** A page that nobody else has mapped: checks take it away again. */
const IOVA = 0x7654_3000;
const PAGE = 4096;

/** What goes wrong in a check ends it, and says why. */
class Wrong extends Error {}

class Missing extends Error {}

/** Checks one after the other; each leaves the function as after a reset, with Memory Space and Bus Master Enable set. */
export async function* checkDevice(machine: Machine, bdf: string, options: CheckDeviceOptions = {}): AsyncGenerator<DeviceCheck> {
  const subject = new Subject(machine.function(bdf), machine, options.answerMs ?? 1000);
  for (const [name, check] of CHECKS) yield await result(name, () => check(subject));
  const { resetMethods } = await subject.fn.info();
  for (const method of resetMethods) {
    yield await result(`a reset by ${method}: it answers, and its configuration is given back`, () => survives(subject, method));
    yield await result(`a reset by ${method} that nobody restores: registers are as at power-up`, () => forgets(subject, method));
  }
}

async function result(name: string, check: () => Promise<void>): Promise<DeviceCheck> {
  try {
    await check();
    return { name, passed: true, text: '' };
  } catch (error) {
    if (error instanceof Missing) return { name, passed: undefined, text: error.message };
    if (error instanceof Wrong || error instanceof IommudError) return { name, passed: false, text: error.message };
    throw error;
  }
}

class Subject {
  readonly fn: FunctionHandle;
  readonly machine: Machine;
  readonly #answerMs: number;

  constructor(fn: FunctionHandle, machine: Machine, answerMs: number) {
    this.fn = fn;
    this.machine = machine;
    this.#answerMs = answerMs;
  }

  async config(offset: number, bytes = 4): Promise<number> {
    return this.#inTime(`configuration register 0x${offset.toString(16)}`, (signal) => this.fn.config.read(offset, bytes, { signal }));
  }
  async bar(bar: number, offset: number): Promise<number> {
    return this.#inTime(`register 0x${offset.toString(16)} of BAR ${bar}`, (signal) => this.fn.bar(bar).read(offset, 4, { signal }));
  }
  async command(value: number): Promise<void> {
    await this.fn.config.write(COMMAND.at, 2, value);
  }

  /** Lets time pass that the function needs, on whichever clock the machine has. */
  async pass(ms: number): Promise<void> {
    await this.machine.clock.advance({ ms }).catch(async (error: unknown) => {
      if (!(error instanceof IommudError && error.code === 'EOPNOTSUPP')) throw error;
      await new Promise((resolve) => {
        setTimeout(resolve, ms);
      });
    });
  }

  /** Memory BARs with their sizes. */
  async bars(): Promise<readonly { readonly bar: number; readonly bytes: number }[]> {
    const regions = await this.fn.regions();
    const bars = regions.flatMap(({ region, kind, bytes }) =>
      kind === 'rom' || kind === 'io' || bytes === undefined ? [] : [{ bar: region, bytes: Number(bytes) }],
    );
    if (bars.length === 0) throw new Missing('it has no BAR in memory');
    return bars;
  }

  /** Offset of a capability in the first 256 bytes; 0: it has none. */
  async capability(id: number): Promise<number> {
    const seen = new Set<number>();
    for (let at = (await this.config(CAPABILITIES, 1)) & 0xfc; at !== 0; at = (await this.config(at + 1, 1)) & 0xfc) {
      if (seen.has(at)) throw new Wrong(`its list of capabilities comes to 0x${at.toString(16)} again`);
      seen.add(at);
      if ((await this.config(at, 1)) === id) return at;
    }
    return 0;
  }

  async #inTime(what: string, ask: (signal: AbortSignal) => Promise<number>): Promise<number> {
    const timeout = AbortSignal.timeout(this.#answerMs);
    try {
      return await ask(timeout);
    } catch (error) {
      if (timeout.aborted) throw new Wrong(`${what} was not read within ${this.#answerMs} ms`);
      throw error;
    }
  }
}

async function identity(subject: Subject): Promise<void> {
  const { fn } = subject;
  for (const [at, what] of [
    [0, 'Vendor and Device ID'],
    [8, 'Revision ID and Class Code'],
    [0x2c, 'Subsystem IDs'],
  ] as const) {
    const before = await subject.config(at);
    if (at === 0 && (before & 0xffff) === 0xffff) throw new Wrong('its Vendor ID is ffff: nobody is there');
    for (const value of [0, ALL_ONES]) {
      await fn.config.write(at, 4, value);
      const after = await subject.config(at);
      if (after !== before) throw new Wrong(`${what} can be written: 0x${before.toString(16)} became 0x${after.toString(16)}`);
    }
  }
}

async function enables(subject: Subject): Promise<void> {
  for (const value of [0, MEMORY_AND_MASTER]) {
    await subject.command(value);
    const read = (await subject.config(COMMAND.at, 2)) & MEMORY_AND_MASTER;
    if (read !== value) throw new Wrong(`Command was written 0x${value.toString(16)} and reads 0x${read.toString(16)}`);
  }
}

async function sizes(subject: Subject): Promise<void> {
  await subject.command(0);
  for (const { bar, bytes } of await subject.bars()) {
    const at = FIRST_BAR + 4 * bar;
    const before = await subject.config(at);
    await subject.fn.config.write(at, 4, ALL_ONES);
    const mask = (await subject.config(at)) & ~0xf;
    await subject.fn.config.write(at, 4, before);
    const size = -mask >>> 0;
    if (bytes < 2 ** 32 && size !== bytes) throw new Wrong(`BAR ${bar} has ${bytes} bytes, and its size mask says ${size}`);
    if ((await subject.config(at)) !== before) throw new Wrong(`BAR ${bar} does not keep the address that is written`);
  }
  await subject.command(MEMORY_AND_MASTER);
}

async function answers(subject: Subject): Promise<void> {
  await subject.command(MEMORY_AND_MASTER);
  for (const { bar, bytes } of await subject.bars()) {
    const offsets = Array.from({ length: Math.min(bytes / 4, REGISTERS_MAX) }, (_, index) => 4 * index);
    while (offsets.length > 0) await Promise.all(offsets.splice(0, READS_AT_ONCE).map((offset) => subject.bar(bar, offset)));
  }
}

/** The first register answers. */
async function lives(subject: Subject, after: string): Promise<void> {
  const [first] = await subject.bars().catch((error: unknown) => {
    if (error instanceof Missing) return [];
    throw error;
  });
  if (((await subject.config(0)) & 0xffff) === 0xffff) throw new Wrong(`nobody is there ${after}`);
  if (first !== undefined) await subject.bar(first.bar, 0);
}

async function power(subject: Subject): Promise<void> {
  const at = await subject.capability(POWER_MANAGEMENT);
  if (at === 0) throw new Missing('it has no power management');
  const [first] = await subject.bars();
  await subject.command(MEMORY_AND_MASTER);
  const rest = (await subject.config(at + PMCSR, 2)) & ~D3HOT;
  await subject.fn.config.write(at + PMCSR, 2, rest | D3HOT);
  const state = (await subject.config(at + PMCSR, 2)) & D3HOT;
  const read = first === undefined ? ALL_ONES : await subject.bar(first.bar, 0);
  const vendor = (await subject.config(0)) & 0xffff;
  await subject.fn.config.write(at + PMCSR, 2, rest);
  await subject.pass(DEADLINE_MS);
  await subject.command(MEMORY_AND_MASTER);
  if (state !== D3HOT) throw new Wrong(`D3hot was written, and it is in D${state}`);
  if (vendor === 0xffff) throw new Wrong('in D3hot its configuration space does not answer');
  if (read !== ALL_ONES) throw new Wrong(`in D3hot a register read as 0x${read.toString(16)}, and nothing decodes there`);
  await lives(subject, 'after D3hot');
}

async function invalidations(subject: Subject): Promise<void> {
  const { fn, machine } = subject;
  const { atsSupported } = await fn.info();
  if (!atsSupported) throw new Missing('it has no ATS');
  const page = await machine.memory.alloc(PAGE);
  await fn.dma.map({ iova: IOVA, address: page.address, bytes: PAGE, access: 'rw' });
  const { timedOut } = await fn.dma.unmap({ iova: IOVA, bytes: PAGE });
  await machine.memory.free(page.address);
  if (timedOut > 0) throw new Wrong('it did not complete an Invalidate Request');
}

async function window(subject: Subject): Promise<void> {
  const { fn } = subject;
  const open = await fn.resetPrepare({ deadlineMs: DEADLINE_MS, onDeadline: 'abort' });
  const { blocked, inFlight } = await fn.info();
  const { warning } = await open.done();
  if (inFlight > 0) throw new Wrong(`${inFlight} requests are in flight behind a closed gate`);
  if (!blocked && open.report.skipped !== true) throw new Wrong('it is not blocked in its reset window');
  if (warning !== undefined && warning !== '') throw new Wrong(warning);
  await lives(subject, 'after a reset window');
}

async function silence(subject: Subject): Promise<void> {
  const { fn } = subject;
  await subject.command(COMMAND.memory);
  const before = (await fn.info()).inFlight;
  await lives(subject, 'without Bus Master Enable');
  const { inFlight } = await fn.info();
  await subject.command(MEMORY_AND_MASTER);
  if (inFlight > before) throw new Wrong('it has sent requests without Bus Master Enable');
}

const CHECKS: readonly (readonly [string, (subject: Subject) => Promise<void>])[] = [
  ['identification does not change when it is written', identity],
  ['Memory Space and Bus Master Enable read as they were written', enables],
  ['base address registers have sizes, and keep addresses', sizes],
  ['every register answers in time', answers],
  ['without Bus Master Enable it answers, and issues nothing', silence],
  ['D3hot: nothing decodes, and it comes back', power],
  ['Invalidate Requests are completed', invalidations],
  ['a reset window', window],
];

async function survives(subject: Subject, method: ResetMethod): Promise<void> {
  await subject.command(MEMORY_AND_MASTER);
  await subject.fn.reset({ method, deadlineMs: DEADLINE_MS, onDeadline: 'abort' });
  const command = (await subject.config(COMMAND.at, 2)) & MEMORY_AND_MASTER;
  if (command !== MEMORY_AND_MASTER) throw new Wrong(`Command was 0x6 and is 0x${command.toString(16)}`);
  await lives(subject, `after ${method}`);
}

async function forgets(subject: Subject, method: ResetMethod): Promise<void> {
  const { fn } = subject;
  await subject.command(MEMORY_AND_MASTER);
  await fn.resetTrigger(method);
  await subject.pass(1000);
  const command = (await subject.config(COMMAND.at, 2)) & (MEMORY_AND_MASTER | COMMAND.interruptDisable);
  await subject.command(MEMORY_AND_MASTER);
  if (command !== 0) throw new Wrong(`Command is 0x${command.toString(16)} after it`);
  await lives(subject, `after ${method}`);
}
