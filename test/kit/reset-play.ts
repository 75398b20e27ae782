/**
 * Plays a cell of the table of resets: a story over the client's handles, so that it can be told over every driver. It says what it saw, and judges
 * nothing: `test/scenario/reset-table.test.ts` does.
 */
import { IommudError, type FunctionHandle, type Machine } from '../../client/src/index.ts';
import { untilInFlight } from './in-flight.ts';
import { FUNCTION, METHODS, PORT, UNASKED, isOneOf, type Cell, type State, type Way } from './reset-cells.ts';

export interface CellOutcome extends Answer {
  /** What becomes of a write that the function tries in the reset. */
  readonly during: string;
  /** What became of what was in flight when the reset began, in order; `held`: it is so still. */
  readonly inFlight: readonly string[];
  /** Of the unmap that was in flight, or of one after the reset: invalidations that timed out. */
  readonly unmapTimedOut: number;
  readonly blocked: boolean;
  /** Configuration space answers. */
  readonly answers: boolean;
  readonly busMaster: boolean;
  readonly ats: boolean;
  /** What becomes of a request that is held still, when it is let go after its page was unmapped and given to somebody else. */
  readonly late: string | undefined;
  /** What becomes of a new write to that page through the ATC. */
  readonly stale: string;
  /** Its new owner finds in it what he wrote. */
  readonly intact: boolean;
  /** What becomes of a write to a page that was mapped after the reset; and when a driver has set the function up anew. */
  readonly fresh: string;
  readonly setUp: string;
  /** What becomes of a write when the fault has been taken away, and the function has been reset once more. */
  readonly again: string;
}

interface Answer {
  /** `ok`, or why not; undefined where nobody answers. */
  readonly answer: string | undefined;
  readonly elapsedMs: number | undefined;
  /** Of its window. */
  readonly report: Report | undefined;
}

interface Report {
  readonly drained: number;
  readonly aborted: number;
  readonly completed: number;
  readonly timedOut: number;
}

const PAGE_BYTES = 4096;
/** What it was granted before; what it reads and asks for; what is mapped after the reset. */
const GRANTED = 0x10000;
const OTHER = 0x20000;
const FRESH = 0x30000;
const THEIRS = 'somebody else';
const COMMAND = 4;
const MEMORY_AND_BUS_MASTER = 6;
const DRAIN_MS = 10;
/** An Invalidate Request that is on its way when the reset begins reaches the function so much later. */
const ON_THE_WAY_MS = 5;
/** Every wait ends within this. */
const LONG_MS = 200_000;

/** The clock of the machine is `manual`, and it is made of `topologyOf` the cell's way. */
export async function play(m: Machine, { way, window, state }: Cell): Promise<CellOutcome> {
  const fn = m.function(FUNCTION);
  const page = await mapped(m, fn, GRANTED);
  await mapped(m, fn, OTHER);
  await fn.model.write(GRANTED, 'mine', { translated: true });

  const begun = await begin(m, fn, state);
  const performed = settling(perform(m, way, window));
  // A configuration write is answered at once, and what it has set off goes on.
  if (isOneOf(UNASKED, way)) await performed.value;
  await m.clock.advance({ ms: ON_THE_WAY_MS });
  const tried = settling(fn.model.write(OTHER, 'in the reset', { translated: true }));
  await begun.arrives?.();
  await m.clock.advance({ ms: LONG_MS });
  const answer = await performed.value;
  const inFlight = begun.requests.map((request) => request.now());
  const during = (await tried.value).outcome;
  const { blocked, busMaster, atsEnabled: ats } = await fn.info();
  const answers = (await fn.config.read(0, 2)) !== 0xffff;

  const unmap = begun.unmap ?? unmapping(fn);
  await m.clock.advance({ ms: LONG_MS });
  const unmapTimedOut = (await unmap.value).timedOut;
  await m.memory.write(page, THEIRS);
  const held = begun.requests[inFlight.indexOf('held')];
  if (held !== undefined) await fn.release();
  const late = await held?.value;
  const stale = (await fn.model.write(GRANTED, 'stale', { translated: true })).outcome;
  const intact = new TextDecoder().decode(await m.memory.read(page, THEIRS.length)) === THEIRS;

  await mapped(m, fn, FRESH);
  const fresh = (await fn.model.write(FRESH, 'fresh')).outcome;
  const setUp = await writtenAfterSetUp(fn);
  const again = await resetAgain(m, fn, state);
  return { ...answer, during, inFlight, unmapTimedOut, blocked, answers, busMaster, ats, late, stale, intact, fresh, setUp, again };
}

/** What was begun, and whether it has come to an end. */
interface Settling<T> {
  readonly value: Promise<T>;
  readonly now: () => T | 'held';
}

function settling<T>(call: Promise<T>): Settling<T> {
  let is: T | 'held' = 'held';
  const value = call.then((got) => (is = got));
  return { value, now: () => is };
}

interface Begun {
  readonly requests: readonly Settling<string>[];
  readonly unmap?: Settling<{ readonly timedOut: number }>;
  readonly arrives?: () => Promise<void>;
}

async function begin(m: Machine, fn: FunctionHandle, state: State): Promise<Begun> {
  const outcome = (call: Promise<{ readonly outcome: string }>) => settling(call.then((result) => result.outcome));
  switch (state) {
    case 'idle':
      return { requests: [] };
    case 'DMA in flight': {
      // A read whose completion is on its way back; and a posted write with a translated address, which a switch holds.
      const read = outcome(fn.model.read(OTHER, 8, { hold: 'performed' }));
      const write = outcome(fn.model.write(GRANTED, 'late', { translated: true, hold: 'issued' }));
      await untilInFlight(fn, 2);
      return { requests: [read, write] };
    }
    case 'ATS in flight': {
      const translation = outcome(fn.model.translate(OTHER, 1, { hold: 'issued' }));
      await untilInFlight(fn);
      return { requests: [translation] };
    }
    case 'invalidation in flight': {
      const hold = await m.calls.hold('invalidate', 'deliver');
      return { requests: [], unmap: unmapping(fn), arrives: () => hold.release() };
    }
    case 'never ready':
      await fn.faults.arm('never-ready', { count: 0 });
      return { requests: [] };
    case 'off the bus':
      await fn.faults.arm('surprise-down', { count: 0 });
      return { requests: [] };
  }
}

function unmapping(fn: FunctionHandle): Settling<{ readonly timedOut: number }> {
  return settling(fn.dma.unmap({ iova: GRANTED, bytes: PAGE_BYTES }));
}

async function perform(m: Machine, way: Way, window: boolean): Promise<Answer> {
  try {
    return await resetBy(m, way, window);
  } catch (error) {
    if (!(error instanceof IommudError)) throw error;
    return { answer: error.code, elapsedMs: error.elapsedNs / 1e6, report: undefined };
  }
}

/** In the PM and PCI Express capabilities of a dma-probe, and in the header of a bridge. */
const PMCSR = 0x44;
const D3HOT = 3;
const DEVICE_CONTROL = 0x48 + 8;
const INITIATE_FLR = 0x8000;
const BRIDGE_CONTROL = 0x3e;
const SECONDARY_BUS_RESET = 0x40;
const NO_ANSWER: Answer = { answer: undefined, elapsedMs: undefined, report: undefined };

async function resetBy(m: Machine, way: Way, window: boolean): Promise<Answer> {
  const [fn, port] = [m.function(FUNCTION), m.function(PORT)];
  if (isOneOf(METHODS, way)) return reported(await fn.reset({ method: way, window, deadlineMs: DRAIN_MS }));
  switch (way) {
    case 'bus of a port':
    case 'slot of a port':
      return reported(await port.resetBus({ slot: way === 'slot of a port', deadlineMs: DRAIN_MS }));
    case 'recovery': {
      const { recovered, status, elapsedMs } = await fn.recovery.recover({ frozen: true });
      return { answer: recovered ? 'ok' : status, elapsedMs, report: undefined };
    }
    case 'FLR bit':
      await fn.config.write(DEVICE_CONTROL, 2, (await fn.config.read(DEVICE_CONTROL, 2)) | INITIATE_FLR);
      return NO_ANSWER;
    case 'D3hot and D0':
      await fn.config.write(PMCSR, 2, D3HOT);
      await fn.config.write(PMCSR, 2, 0);
      return NO_ANSWER;
    case 'bus reset bit':
      await port.config.write(BRIDGE_CONTROL, 2, SECONDARY_BUS_RESET);
      await port.config.write(BRIDGE_CONTROL, 2, 0);
      return NO_ANSWER;
    case 'power off':
      await port.coldReset();
      return NO_ANSWER;
  }
}

function reported({ elapsedMs, skipped, ...report }: Report & { readonly elapsedMs: number; readonly skipped: true | undefined }): Answer {
  const { drained, aborted, completed, timedOut } = report;
  return { answer: 'ok', elapsedMs, report: skipped === true ? undefined : { drained, aborted, completed, timedOut } };
}

async function mapped(m: Machine, fn: FunctionHandle, iova: number): Promise<bigint> {
  const { address } = await m.memory.alloc(PAGE_BYTES);
  await fn.dma.map({ iova, address, bytes: PAGE_BYTES, access: 'rw' });
  return address;
}

async function writtenAfterSetUp(fn: FunctionHandle, translated = false): Promise<string> {
  await fn.config.write(COMMAND, 2, MEMORY_AND_BUS_MASTER);
  return (await fn.model.write(FRESH, 'fresh', { translated })).outcome;
}

async function resetAgain(m: Machine, fn: FunctionHandle, state: State): Promise<string> {
  if (state === 'never ready') await fn.faults.disarm('never-ready');
  if (state === 'off the bus') await fn.faults.disarm('surprise-down');
  const again = fn.reset({ deadlineMs: DRAIN_MS });
  await m.clock.advance({ ms: LONG_MS });
  await again;
  return writtenAfterSetUp(fn, true);
}
