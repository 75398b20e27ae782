import type { Bdf, Clock, Trace } from '../base/index.ts';
import type { Fix, Ioas, Iommu } from '../iommu/index.ts';
import type { GuestMemory } from '../memory/index.ts';
import type { Topology } from '../pci/index.ts';
import type { FaultQueue, InterruptRemapping, InvalidationQueue, Translation } from '../translation/index.ts';
import type { PageRequestState } from './ats/page-request-state.ts';
import type { ArmedHold, StoppedCall } from './calls/call-holds.ts';
import type { OperationTable } from './calls/operation-table.ts';
import type { ReadBuffers } from './dma/read-buffers.ts';
import type { TableRead } from './domains/table-reads.ts';
import type { TableUpdate } from './domains/table-updates.ts';
import type { NotedError } from './errors/error-queue.ts';
import type { ModelWiring } from './model-ports.ts';
import type { Outbox } from './outbox.ts';
import type { Peers } from './peers.ts';
import type { WindowReport } from './reply.ts';
import type { FunctionReader, MachineSpec } from './spec.ts';
import type { FunctionState, InjectedFaults, Request } from './state.ts';
import type { TraceHash } from './trace-hash.ts';

/** Everything a machine consists of. The files of this room are functions over it; `machine.ts` makes it. */
export interface Parts {
  readonly spec: MachineSpec;
  readonly strict: boolean;
  readonly fixes: ReadonlySet<Fix>;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly memory: GuestMemory;
  readonly readBuffers: ReadBuffers;
  readonly readFunctions: FunctionReader | undefined;
  readonly translation: Translation;
  readonly invalidations: InvalidationQueue;
  readonly faultQueue: FaultQueue;
  readonly pageRequests: PageRequestState;
  /** Made anew when functions come or go. */
  topology: Topology;
  readonly iommu: Iommu | undefined;
  readonly functions: Map<Bdf, FunctionState>;
  /** In bus order. */
  readonly functionList: FunctionState[];
  /** What the next function is numbered: numbers are not used again, for alarms name functions by them. */
  nextFunction: number;
  /** Calls that take a function out and wait for its reset lock. */
  readonly leaving: Set<number>;
  readonly operations: OperationTable;
  readonly peers: Peers;
  readonly outbox: Outbox;
  readonly wiring: ModelWiring;
  readonly hash: TraceHash;
  /** Held requests that release themselves, by id. */
  readonly timedHolds: Map<number, Request>;
  /** Entries of page tables that owners have been asked for, by `entryKey`. */
  readonly tableReads: Map<number, TableRead>;
  /** Of these the ones that are given flags. */
  readonly tableUpdates: Map<number, TableUpdate>;
  /** Timeout alarms of Invalidate Requests, by the invalidation's id. */
  readonly invalidationAlarms: Map<number, number>;
  /** What the prepare of each open window was answered, by function and token: the same token gets the same answer. */
  readonly windowReports: Map<string, WindowReport>;
  /** What hosts hold calls with, by number, and the calls that stand before a step, by theirs. */
  readonly callHolds: Map<number, ArmedHold>;
  readonly stoppedCalls: Map<number, StoppedCall>;
  /** I/O address spaces, by number. */
  readonly ioases: Map<number, Ioas>;
  /** Ports whose registers may give a reason to interrupt since it was last looked. */
  readonly changedPorts: Set<FunctionState>;
  /** On the bus, to be logged. */
  errors: NotedError[];
  readonly injected: InjectedFaults;
  /** Functions whose emulators keep their configuration space. */
  readonly ownConfigs: Set<FunctionState>;
  nextIoas: number;
  /** Where messages of interrupts are taken like memory; -1: writes to INTERRUPT_PAGES are interrupts, as on x86. */
  readonly doorbellPage: number;
  /** Undefined where interrupts are not remapped. */
  readonly remapping: InterruptRemapping | undefined;
  /** How many functions assert each INTx line at the root that is asserted, by 4 × its device + pin - 1. */
  readonly intxSources: Map<number, number>;
  nextRequest: number;
  /** CONFIG_ADDRESS, the register at I/O port 0xcf8. */
  configAddress: number;
}
