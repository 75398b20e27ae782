/** The machine's events as a program meets them, and the queues that hold them. */
import type { EventName, Events, iommud } from '../../proto/index.ts';
import { s64ToNumber } from '../../proto/index.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { EventQueue } from './event-queue.ts';
import { hotplugChange, type HotplugChange } from './hotplug.ts';
import { memoryChange, type MemoryChange } from './memory-change.ts';
import {
  BUS_ERROR,
  ERROR_MESSAGE,
  DRIVER_CALLBACK,
  LOG_LEVEL,
  OUTCOME,
  accessText,
  type BusError,
  type DriverCallback,
  type ErrorMessage,
  type LogLevel,
  type Outcome,
} from './names.ts';
import { bigintOf, numberOf } from './numbers.ts';
import { PageFault } from './page-faults.ts';
import { shown } from './shown.ts';

/** The IOMMU refused a request. */
export interface FaultRecord {
  /** Counts from 1 in this machine. */
  readonly number: number;
  /** On the machine's clock. */
  readonly timeNs: number;
  /** `00:02.0`. */
  readonly function: string;
  readonly pasid: number | undefined;
  readonly iova: bigint;
  /** `r`, `w`, `x` or several of them. */
  readonly access: string;
  readonly cause: Outcome;
  /** The stage of translation that refused: 1 or 2; 0 where none did. */
  readonly stage: number;
  /** The request asked for privileged mode, or to execute. */
  readonly privileged: boolean;
  readonly execute: boolean;
  /** `00:02.0 write 0x11000: not present`. */
  readonly text: string;
}

export interface Interrupt {
  readonly function: string;
  /** Message address, as the function wrote it. */
  readonly address: bigint;
  /** Message data: on x86 without remapping the low byte is the processor's vector. */
  readonly data: number;
  /** How many equal ones this stands for, at least 1. */
  readonly count: number;
  readonly timeNs: number;
  /** The interrupt of the function that it raised, from 0; undefined: it wrote the message as any other DMA. */
  readonly sourceVector: number | undefined;
  /** What interrupt remapping made of it; undefined: it was not remapped. */
  readonly remapped: { readonly index: number; readonly vector: number; readonly destination: number } | undefined;
}

/** A function has asserted or deasserted INTx. */
export interface IntxChange {
  readonly function: string;
  /** Of the function, `A` to `D`. */
  readonly pin: IntxPin;
  readonly asserted: boolean;
  /** Where it comes out at the root: the device there, `00:02`, and the pin. The line is asserted while any function asserts it. */
  readonly line: { readonly device: string; readonly pin: IntxPin; readonly asserted: boolean; readonly sources: number };
  readonly timeNs: number;
}
export type IntxPin = 'A' | 'B' | 'C' | 'D';

/** A reset window was opened or closed. */
export interface WindowChange {
  readonly function: string;
  readonly open: boolean;
  /** Nested windows now. */
  readonly depth: number;
  readonly timeNs: number;
}

/** An error on the bus, as the function that detected it logged it. */
export interface BusErrorReport {
  readonly function: string;
  readonly error: BusError;
  /** An advisory non-fatal error is correctable. */
  readonly severity: ErrorMessage;
  readonly masked: boolean;
  /** The message that it sent; undefined where reporting is not enabled. */
  readonly message: ErrorMessage | undefined;
  /** Whom the message reached; undefined where a bridge did not pass it. */
  readonly root: string | undefined;
  readonly interrupt: boolean;
  readonly systemError: boolean;
  /** The port that contains what is below it (DPC). */
  readonly contained: string | undefined;
  /** Of the TLP, four words; empty where there is none. */
  readonly header: readonly number[];
  readonly text: string;
  readonly timeNs: number;
}

/** Linux calls a function's driver round a reset of it (struct pci_error_handlers). */
export interface DriverCall {
  readonly function: string;
  readonly callback: DriverCallback;
  readonly timeNs: number;
}

/** What the kernel would print. */
export interface LogLine {
  readonly level: LogLevel;
  /** Undefined: about the whole machine. */
  readonly function: string | undefined;
  readonly text: string;
  readonly timeNs: number;
}

/** One record of the machine's trace. What the integers mean is the kind's; the name is what to go by. */
export interface TraceRecord {
  readonly name: string;
  readonly timeNs: number;
  readonly values: readonly [number, number, number, number];
}

/** Events are numbered from 1 to this. */
const NUMBER_MAX = 0xffff_ffff;

export class EventStreams {
  readonly faults = new EventQueue<FaultRecord>();
  readonly interrupts = new EventQueue<Interrupt>();
  readonly intx = new EventQueue<IntxChange>();
  readonly windows = new EventQueue<WindowChange>();
  readonly driverCalls = new EventQueue<DriverCall>();
  readonly logs = new EventQueue<LogLine>();
  readonly trace = new EventQueue<TraceRecord>();
  readonly pageFaults = new EventQueue<PageFault>();
  readonly hotplug = new EventQueue<HotplugChange>();
  readonly errors = new EventQueue<BusErrorReport>();
  readonly memoryChanges = new EventQueue<MemoryChange>();
  /** Wall-clock milliseconds that a stopping server gave, once it said so. */
  drainingMs: number | undefined = undefined;

  readonly #channel: Channel;
  readonly #put: { readonly [K in EventName]: (event: Events[K]) => void } = {
    draining: (event) => {
      this.drainingMs = event.deadlineMs;
    },
    lost: (event) => {
      // The numbers start again from 1.
      const count = event.to - event.from + 1 + (event.to < event.from ? NUMBER_MAX : 0);
      for (const queue of this.#all) queue.miss(count);
    },
    faultEvent: (event) => this.faults.put(faultRecord(event.record)),
    interruptEvent: (event) => this.interrupts.put(interrupt(event)),
    intxEvent: (event) => this.intx.put(intxChange(event)),
    windowEvent: (event) => this.windows.put(windowChange(event)),
    driverCallbackEvent: (event) =>
      this.driverCalls.put({
        function: bdfText(event.function),
        callback: DRIVER_CALLBACK.nameOf(event.callback),
        timeNs: numberOf(event.timeNs),
      }),
    logEvent: (event) => this.logs.put(logLine(event)),
    traceEvent: (event) => this.trace.put(traceRecord(event)),
    hotplugEvent: (event) => this.hotplug.put(hotplugChange(event)),
    errorEvent: (event) => this.errors.put(busError(event)),
    memoryEvent: (event) => this.memoryChanges.put(memoryChange(event)),
    pageFaultEvent: (event) => this.pageFaults.put(new PageFault(this.#channel, event.fault)),
  };

  /** `channel`: the way of answers to page faults. */
  constructor(channel: Channel) {
    this.#channel = channel;
  }

  put<K extends EventName>(name: K, event: Events[K]): void {
    this.#put[name](event);
  }

  end(why: string): void {
    for (const queue of this.#all) queue.end(why);
  }

  get #all(): readonly EventQueue<unknown>[] {
    const { faults, interrupts, intx, windows, driverCalls, logs, trace, pageFaults, hotplug, errors, memoryChanges } = this;
    return [
      faults,
      interrupts,
      intx,
      windows,
      driverCalls,
      logs,
      trace,
      pageFaults,
      hotplug,
      errors,
      memoryChanges,
    ] as EventQueue<unknown>[];
  }
}

export function faultRecord(record: iommud.v1.FaultRecord): FaultRecord {
  return shown({
    number: numberOf(record.number),
    timeNs: numberOf(record.timeNs),
    function: bdfText(record.function),
    pasid: record.pasid ?? undefined,
    iova: bigintOf(record.iova),
    access: accessText(record.access),
    cause: OUTCOME.nameOf(record.cause),
    stage: record.stage,
    privileged: record.privileged,
    execute: record.execute,
    text: record.text,
  });
}

function interrupt(event: Events['interruptEvent']): Interrupt {
  return shown({
    function: bdfText(event.function),
    address: bigintOf(event.address),
    data: event.data,
    count: event.count,
    timeNs: numberOf(event.timeNs),
    sourceVector: event.sourceVector ?? undefined,
    remapped: event.remapped ?? undefined,
  });
}

function busError(event: Events['errorEvent']): BusErrorReport {
  return shown({
    function: bdfText(event.function),
    error: BUS_ERROR.nameOf(event.error),
    severity: ERROR_MESSAGE.nameOf(event.severity),
    masked: event.masked,
    message: event.message === 0 ? undefined : ERROR_MESSAGE.nameOf(event.message),
    root: typeof event.root === 'number' ? bdfText(event.root) : undefined,
    interrupt: event.interrupt,
    systemError: event.systemError,
    contained: typeof event.contained === 'number' ? bdfText(event.contained) : undefined,
    header: event.header,
    text: event.text,
    timeNs: numberOf(event.timeNs),
  });
}

function intxChange(event: Events['intxEvent']): IntxChange {
  return shown({
    function: bdfText(event.function),
    pin: pinOf(event.pin),
    asserted: event.asserted,
    line: {
      device: bdfText(event.lineDevice).replace(/\.0$/, ''),
      pin: pinOf(event.linePin),
      asserted: event.lineSources > 0,
      sources: event.lineSources,
    },
    timeNs: numberOf(event.timeNs),
  });
}

function pinOf(pin: number): IntxPin {
  return (['A', 'B', 'C', 'D'] as const)[pin - 1] ?? 'A';
}

function windowChange(event: Events['windowEvent']): WindowChange {
  return shown({ function: bdfText(event.function), open: event.open, depth: event.depth, timeNs: numberOf(event.timeNs) });
}

function logLine(event: Events['logEvent']): LogLine {
  return shown({
    level: LOG_LEVEL.nameOf(event.level),
    function: typeof event.function === 'number' ? bdfText(event.function) : undefined,
    text: event.text,
    timeNs: numberOf(event.timeNs),
  });
}

function traceRecord(event: Events['traceEvent']): TraceRecord {
  const value = (half: typeof event.a): number => s64ToNumber(half) ?? Infinity;
  return { name: event.name, timeNs: numberOf(event.timeNs), values: [value(event.a), value(event.b), value(event.c), value(event.d)] };
}
