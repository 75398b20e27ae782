import { ask, type CallOptions } from './ask.ts';
import { packBdf } from './bdf.ts';
import { Bus } from './bus.ts';
import { CallHolds } from './call-holds.ts';
import type { Channel } from './channel.ts';
import { Clock } from './clock.ts';
import { functionSummary, machineInfo, type FunctionSummary, type MachineInfo } from './descriptions.ts';
import { Domains } from './domains.ts';
import type { EventQueue } from './event-queue.ts';
import {
  faultRecord,
  type BusErrorReport,
  type EventStreams,
  type FaultRecord,
  type Interrupt,
  type DriverCall,
  type IntxChange,
  type LogLine,
  type TraceRecord,
  type WindowChange,
} from './event-streams.ts';
import { ArmedFaults } from './fault-injection.ts';
import { FunctionHandle } from './function-handle.ts';
import { plug, type HotplugChange, type PlugOptions, type PlugReport } from './hotplug.ts';
import { remapRequest, type RemapEntry } from './interrupts.ts';
import { Ioases } from './ioas.ts';
import type { MemoryChange } from './memory-change.ts';
import { Memory } from './memory.ts';
import { EVENT_CLASS, type EventClass } from './names.ts';
import { numberOf } from './numbers.ts';
import { PageFault } from './page-faults.ts';
import { waited, type Waited } from './waited.ts';

/** What a machine's handles stand on: a connection to it. */
export interface MachineLink {
  readonly channel: Channel;
  readonly events: EventStreams;
  /** A new token for a reset window. */
  nextToken(): string;
  close(): Promise<void>;
}

/** A machine as hosts and observers see it. */
export class Machine implements AsyncDisposable {
  readonly memory: Memory;
  /** Accesses by address, as a processor makes them. */
  readonly bus: Bus;
  readonly domains: Domains;
  /** I/O address spaces in the manner of iommufd. */
  readonly ioas: Ioases;
  readonly clock: Clock;
  /** Holds calls between two of their steps. */
  readonly calls: CallHolds;
  /** Faults on purpose that are armed, and those of memory; a function has its own in {@link FunctionHandle.faults}. */
  readonly armed: ArmedFaults;
  readonly #link: MachineLink;

  constructor(link: MachineLink) {
    this.#link = link;
    this.memory = new Memory(link.channel);
    this.bus = new Bus(link.channel);
    this.domains = new Domains(link.channel);
    this.ioas = new Ioases(link.channel);
    this.clock = new Clock(link.channel);
    this.calls = new CallHolds(link.channel);
    this.armed = new ArmedFaults(link.channel);
  }

  /** The machine's name. */
  get name(): string {
    return this.#link.channel.granted.machine;
  }

  /** What the IOMMU refused. */
  get faults(): EventQueue<FaultRecord> {
    return this.#link.events.faults;
  }

  /** Page requests of functions in fault-capable domains: each waits until it is answered, by this host or another. */
  get pageFaults(): EventQueue<PageFault> {
    return this.#link.events.pageFaults;
  }

  /** The page faults that wait for an answer, oldest first: also those that came before this connection. */
  async pendingPageFaults(options?: CallOptions): Promise<PageFault[]> {
    const { channel } = this.#link;
    const { body } = await ask(channel, 'pageFaults', {}, options);
    return body.faults.map((fault) => new PageFault(channel, fault));
  }

  /** Errors on the bus, as functions log them. */
  get errors(): EventQueue<BusErrorReport> {
    return this.#link.events.errors;
  }

  /** Messages of interrupts that came through. */
  get interrupts(): EventQueue<Interrupt> {
    return this.#link.events.interrupts;
  }

  /** INTx of functions, asserted and deasserted. */
  get intx(): EventQueue<IntxChange> {
    return this.#link.events.intx;
  }

  /**
   * Writes an entry of the interrupt remapping table; undefined: it is not present. Errors: EOPNOTSUPP (the machine does not remap interrupts), EINVAL.
   */
  async remapInterrupt(index: number, entry: RemapEntry | undefined, options?: CallOptions): Promise<void> {
    await ask(this.#link.channel, 'irqRemapSet', remapRequest(index, entry), options);
  }

  /** Reset windows that were opened and closed. */
  get windows(): EventQueue<WindowChange> {
    return this.#link.events.windows;
  }

  /** Functions that came, and functions that are gone. */
  get hotplug(): EventQueue<HotplugChange> {
    return this.#link.events.hotplug;
  }

  /** Ranges of memory that have an owner, or no longer. */
  get memoryChanges(): EventQueue<MemoryChange> {
    return this.#link.events.memoryChanges;
  }

  /** What Linux calls in functions' drivers round resets. */
  get driverCalls(): EventQueue<DriverCall> {
    return this.#link.events.driverCalls;
  }

  /** What the kernel would print. */
  get logs(): EventQueue<LogLine> {
    return this.#link.events.logs;
  }

  /** The machine's trace: for an observer that has subscribed to it. */
  get trace(): EventQueue<TraceRecord> {
    return this.#link.events.trace;
  }

  /** Power goes off and on: every function is as after power-up. Nobody is asked. */
  async coldReset(options?: CallOptions): Promise<Waited> {
    const { body } = await ask(this.#link.channel, 'coldReset', {}, options);
    return waited(body.elapsedNs);
  }

  /** The function at `00:02.0` or `0000:00:02.0`. Nothing is asked: a call tells when there is none (ENODEV). */
  function(bdf: string): FunctionHandle {
    return new FunctionHandle(this.#link.channel, packBdf(bdf), () => this.#link.nextToken());
  }

  /** All functions, by address. */
  async functions(options?: CallOptions): Promise<FunctionSummary[]> {
    return (await ask(this.#link.channel, 'functionList', {}, options)).body.functions.map(functionSummary);
  }

  /**
   * Plugs functions in; they answer when this returns. Errors: EINVAL (what they are, or where), ENODEV (no such port), EBUSY (the slot has
   * something).
   */
  plug(options: PlugOptions): Promise<PlugReport> {
    return plug(this.#link.channel, options);
  }

  async info(options?: CallOptions): Promise<MachineInfo> {
    return machineInfo((await ask(this.#link.channel, 'machineInfo', {}, options)).body);
  }

  /** The IOMMU's fault records, oldest first, not consumed; `overflow` counts those that found the queue full. */
  async faultRecords(options?: CallOptions): Promise<{ readonly records: readonly FaultRecord[]; readonly overflow: number }> {
    const { body } = await ask(this.#link.channel, 'faultRecords', {}, options);
    return { records: body.records.map(faultRecord), overflow: numberOf(body.overflow) };
  }

  /** Enables the reporting of errors in every function and root port, as Linux does at boot. */
  async enableErrorReporting(options?: CallOptions): Promise<void> {
    await ask(this.#link.channel, 'errorReporting', {}, options);
  }

  /** Equal for equal inputs. */
  async traceHash(options?: CallOptions): Promise<string> {
    return (await ask(this.#link.channel, 'traceHash', {}, options)).body.hash;
  }

  /**
   * Chooses which events arrive from now on, in place of what was chosen before. A connection begins with all but the trace. Errors: EPERM
   * (the trace is for observers), EOPNOTSUPP (no trace here).
   */
  async subscribe(events: readonly EventClass[], options?: CallOptions): Promise<void> {
    await ask(this.#link.channel, 'subscribe', { events: events.map((name) => EVENT_CLASS.numberOf(name, 'events')) }, options);
  }

  /** Closes the connection that this handle stands on. */
  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
