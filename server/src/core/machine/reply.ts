// long: one contract, read as a list
/** What a machine answers to a command. */
import type { Bdf, DmaOperation, ErrorName, HoldPoint, Outcome, PageAnswer, Pasid, ResetMethod } from '../base/index.ts';
import type { DefaultType, DirectRegion, IovaRange, ReservedRegion, reservedName } from '../iommu/index.ts';
import type { BarKind } from '../pci/index.ts';
import type { CallName, StepName } from './calls/call-steps.ts';
import type { CommandKind, DomainType, FaultKind, MemoryError, Vote } from './command.ts';
import type { Raised } from './interrupts/interrupts.ts';
import type { PeerId } from './outgoing.ts';
import type { ClockMode } from './spec.ts';

/** How far the machine's clock moved between the call and its reply. */
export interface Waited {
  readonly elapsedNs: number;
}
/** A refusal that the kernel would make, or an outcome that has a code. Nothing was changed. */
export interface Refused extends Waited {
  readonly kind: 'refused';
  readonly code: ErrorName;
  readonly message: string;
  /** The field or address that it is about; may be empty. */
  readonly about: string;
}
/** A register's value, zero-extended: int32 halves. */
export interface RegionReadReply {
  readonly kind: 'region-read';
  readonly valueLow: number;
  readonly valueHigh: number;
}
export interface DomainSummary {
  readonly id: number;
  readonly type: DomainType;
  readonly sharedAddress: boolean;
}
export interface FunctionSummary {
  readonly bdf: Bdf;
  readonly model: string;
  readonly label: string;
  readonly configBytes: number;
  readonly vendor: number;
  readonly device: number;
  /** 24-bit class code. */
  readonly classCode: number;
  /** Of a bridge; -1 otherwise. */
  readonly secondaryBus: number;
  /** IOMMU group number; -1 without an IOMMU. */
  readonly group: number;
  readonly atsSupported: boolean;
  readonly blocked: boolean;
  readonly resetDepth: number;
  /** `closed` while a drain or a window keeps requests from leaving. */
  readonly gate: 'open' | 'closed';
  readonly inFlight: number;
  /** A remote function that nobody has claimed. */
  readonly absent: boolean;
  readonly linkDown: boolean;
  /** Of a virtual function: the physical function that it belongs to. */
  readonly physicalFunction: Bdf | undefined;
}
export interface FunctionDetail extends FunctionSummary {
  readonly busMaster: boolean;
  readonly atsEnabled: boolean;
  readonly resetMethods: readonly ResetMethod[];
  /** The logical domain (iommu_get_domain_for_dev), and what the function's device context holds (iommu_driver_get_domain_for_dev). */
  readonly logicalDomain: DomainSummary | undefined;
  readonly physicalDomain: DomainSummary | undefined;
  readonly pasids: readonly PasidSummary[];
  readonly windows: readonly string[];
  readonly armedFaults: readonly FaultKind[];
  /** Outstanding invalidations. */
  readonly itags: number;
  /** It keeps the context that firmware left until its driver's first use. */
  readonly attachDeferred: boolean;
  readonly directRegions: readonly DirectRegion[];
  /** As sysfs `reserved_regions` has them: merged, by start, with the names that it has for the types. */
  readonly reservedRegions: readonly ReservedSummary[];
}
/** A base address register or the expansion ROM, as software has programmed it. */
export interface RegionSummary {
  readonly region: number;
  readonly kind: BarKind;
  readonly prefetchable: boolean;
  readonly address: bigint;
  /** Undefined where nothing tells it. */
  readonly bytes: bigint | undefined;
}
export interface ReservedSummary extends Omit<ReservedRegion, 'type'> {
  readonly type: ReturnType<typeof reservedName>;
}
export interface PasidSummary {
  readonly pasid: number;
  readonly logicalDomain: DomainSummary;
  readonly physicalDomain: DomainSummary | undefined;
}
export interface GroupDetail {
  readonly group: number;
  readonly members: readonly Bdf[];
  readonly domain: DomainSummary | undefined;
  readonly defaultDomain: DomainSummary | undefined;
  /** Undefined where there is none. */
  readonly defaultType: DefaultType | undefined;
  /** Devices in a window (group recovery_cnt). */
  readonly recoveryCount: number;
  readonly owned: boolean;
  /** A call holds the group mutex; this many more wait for it. */
  readonly busy: boolean;
  readonly waiting: number;
}
export interface LedgerEntry {
  readonly request: number;
  readonly operation: DmaOperation | 'msi' | 'invalidation-completion' | 'page-request' | 'intx';
  /** The point it has reached; `sent`: with a memory owner; `indeterminate`: sent, and its function was aborted. */
  readonly point: HoldPoint | 'sent' | 'indeterminate';
  readonly held: boolean;
  readonly iova: bigint;
  readonly address: bigint | undefined;
  readonly bytes: number;
  readonly sinceNs: number;
  readonly epoch: number;
  /** What it waits for, in words. */
  readonly waitsFor: string;
}
export interface FaultRecord {
  readonly number: number;
  readonly timeNs: number;
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  readonly iova: bigint;
  /** ACCESS bits of the access. */
  readonly access: number;
  readonly cause: Outcome;
  /** The stage of translation that refused, 1 or 2; 0 where none did. */
  readonly stage: number;
  /** The request asked for privileged mode (PCIe PMR). */
  readonly privileged: boolean;
  /** The request asked to execute (PCIe Execute Requested). */
  readonly execute: boolean;
  /** `00:02.0 write 0x11000: not present`. */
  readonly text: string;
}
/** A fault on purpose that is armed. */
export interface ArmedFaultSummary {
  readonly armed: number;
  readonly fault: FaultKind;
  /** Undefined for one of memory that acts on any function's DMA. */
  readonly bdf: Bdf | undefined;
  readonly range: { readonly address: bigint; readonly bytes: bigint } | undefined;
  /** Of `memory-errors`. */
  readonly error: MemoryError | undefined;
  /** Occurrences that it will let pass, how often it has acted, and how often it will act yet: undefined without end. */
  readonly passes: number;
  readonly acted: number;
  readonly left: number | undefined;
  readonly point: HoldPoint | undefined;
  readonly delayNs: number;
  readonly fromNs: number;
  /** Undefined without end. */
  readonly untilNs: number | undefined;
  readonly inForce: boolean;
  /** It acts on accesses of hosts too. */
  readonly hosts: boolean;
  /** `00:02.0 late-completions by 5000000 ns: acted 2, 3 left`. */
  readonly text: string;
}
/** Pages of a group that follow each other and want the same. */
export interface PageRange {
  readonly iova: bigint;
  readonly pages: number;
  /** ACCESS bits. */
  readonly access: number;
  readonly privileged: boolean;
}
/** A group of page requests that waits for a host's answer. */
export interface PageFault {
  readonly number: number;
  readonly timeNs: number;
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  readonly group: number;
  readonly domain: number;
  readonly ranges: readonly PageRange[];
}
export interface IndeterminateRange {
  readonly address: bigint;
  readonly bytes: number;
}
/** What a drain and a fence did. */
export interface WindowReport {
  /** True where prepare and done do nothing: no IOMMU, or (linux-7.1) no ATS. */
  readonly skipped: boolean;
  /** Windows that are open afterwards. */
  readonly depth: number;
  /** Requests that ended by themselves; that were dropped; whose fate only their memory's owner knows. */
  readonly drained: number;
  readonly aborted: number;
  readonly indeterminate: number;
  readonly indeterminateRanges: readonly IndeterminateRange[];
  /** Invalidations awaited by the fence. */
  readonly completed: number;
  readonly timedOut: number;
}
/** What came of one method of a reset; without an error it has reset the function. */
export interface ResetAttempt {
  readonly method: ResetMethod;
  readonly error: ErrorName | undefined;
}
export interface DmaResult extends Waited {
  readonly outcome: Outcome;
  /** Requests on the bus that the operation was split into. */
  readonly requests: number;
  /** Bytes that took effect, from the start without a gap. */
  readonly bytesDone: number;
  /** For reads and atomics. */
  readonly data: Uint8Array | undefined;
  /** The first address that did not take effect; undefined when all did. */
  readonly failedIova: bigint | undefined;
  /** What did not take effect met memory of this peer, which is not there any more. */
  readonly absentOwner: PeerId | undefined;
  /** `translate`: the ranges that were granted, lowest first, of consecutive IOVAs; the first has the page asked for. */
  readonly grants: readonly GrantSummary[] | undefined;
}

/** An entry of a Translation Completion: a range by its first address, its size and rights. Absent: false. */
export interface GrantSummary {
  readonly address: bigint;
  readonly bytes: number;
  readonly access: number;
  readonly untranslatedOnly?: boolean;
  readonly privileged?: boolean;
  readonly global?: boolean;
  readonly snooped?: boolean;
}

/** One of the ways in which a function interrupts, as vfio-user's IRQ info. */
export interface IrqSummary {
  readonly index: (typeof IRQ_INDEXES)[number];
  readonly count: number;
  /** Of MSI: vectors that software has granted. */
  readonly granted: number;
  readonly enabled: boolean;
  readonly maskable: boolean;
  readonly pending: readonly number[];
}
export const IRQ_INDEXES = ['intx', 'msi', 'msix'] as const;

/** A call that a hold has stopped before a step. */
export interface HeldCall {
  readonly id: number;
  readonly call: CallName;
  readonly step: StepName;
  /** Undefined for an unmap, which is a domain's. */
  readonly bdf: Bdf | undefined;
  readonly hold: number;
  readonly sinceNs: number;
}

/** A call that is not answered. */
export interface WaitingCall {
  /** The kind of its operation. */
  readonly call: string;
  readonly bdf: Bdf | undefined;
  /** When it came, on the machine's clock. */
  readonly sinceNs: number;
  /** In words. */
  readonly waitsFor: string;
}
/** What the machine waits for. */
export interface MachineStatus {
  readonly nowNs: number;
  readonly nextAlarmNs: number | undefined;
  readonly clock: ClockMode;
  /** Peers that owe an answer, so that the clock does not pass. */
  readonly clockWaitsFor: readonly PeerId[];
  readonly clockHeldBy: readonly { readonly peer: PeerId; readonly untilNs: number }[];
  readonly peers: readonly {
    readonly peer: PeerId;
    /** Answers. */
    readonly owes: number;
    /** Past the watchdog. */
    readonly silent: boolean;
    /** Functions that it emulates. */
    readonly plays: readonly Bdf[];
  }[];
  /** Ranges of memory that peers own, by address. `absent`: the peer has vanished, and another may own the range within the grace time. */
  readonly memory: readonly { readonly address: bigint; readonly bytes: bigint; readonly peer: PeerId; readonly absent: boolean }[];
  readonly waiting: readonly WaitingCall[];
}
/** A domain that hosts know, and who has it. */
export interface DomainDetail extends DomainSummary {
  /** Of its page tables; undefined where it has none. */
  readonly format: string | undefined;
  /** The second stage of a nested domain. */
  readonly parent: number | undefined;
  /** Of groups whose domain it is, and of PASIDs that have it. */
  readonly functions: readonly Bdf[];
  readonly pasids: readonly { readonly bdf: Bdf; readonly pasid: Pasid }[];
}

export type Reply =
  | { readonly kind: 'ok'; readonly elapsedNs: number }
  | Refused
  | RegionReadReply
  | {
      readonly kind: 'machine-info';
      readonly name: string;
      readonly seed: number;
      readonly behaviour: string;
      readonly clock: string;
      readonly nowNs: number;
      readonly functions: number;
      readonly iommu: boolean;
    }
  | { readonly kind: 'function-plug'; readonly functions: readonly Bdf[]; readonly elapsedNs: number }
  /** Of what was in flight and of the Invalidate Requests that were awaited: how they ended. */
  | {
      readonly kind: 'function-unplug';
      readonly functions: readonly Bdf[];
      readonly drained: number;
      readonly aborted: number;
      readonly completed: number;
      readonly timedOut: number;
      readonly elapsedNs: number;
    }
  | { readonly kind: 'function-list'; readonly functions: readonly FunctionSummary[] }
  | { readonly kind: 'function-info'; readonly function: FunctionDetail }
  | { readonly kind: 'config-read'; readonly data: Uint8Array }
  | { readonly kind: 'dma-list'; readonly results: readonly DmaResult[]; readonly data: Uint8Array | undefined; readonly elapsedNs: number }
  /** `config`: configuration space as it stands. */
  | {
      readonly kind: 'device-claim';
      readonly bdf: Bdf;
      readonly config: Uint8Array;
      /** It was absent, and is reset now. */
      readonly restarted: boolean;
      readonly elapsedNs: number;
    }
  | { readonly kind: 'function-regions'; readonly regions: readonly RegionSummary[] }
  | { readonly kind: 'group-info'; readonly group: GroupDetail }
  | { readonly kind: 'irq-info'; readonly irqs: readonly IrqSummary[] }
  | { readonly kind: 'interrupt'; readonly outcome: Raised; readonly elapsedNs: number }
  | { readonly kind: 'call-hold'; readonly hold: number }
  | { readonly kind: 'calls-held'; readonly calls: readonly HeldCall[] }
  | { readonly kind: 'domain-alloc'; readonly domain: number }
  /** Where a map went whose IOVA was left to the DMA API. */
  | { readonly kind: 'mapped'; readonly iova: bigint; readonly elapsedNs: number }
  | { readonly kind: 'unmap'; readonly bytes: bigint; readonly timedOut: number; readonly elapsedNs: number }
  | { readonly kind: 'iova-to-phys'; readonly mapped: boolean; readonly address: bigint }
  /** `next`: where to ask on; undefined when these are all. */
  | { readonly kind: 'unmapped-ranges'; readonly ranges: readonly IovaRange[]; readonly next: bigint | undefined }
  | { readonly kind: 'dirty-tracking-set'; readonly timedOut: number; readonly elapsedNs: number }
  /** A bit for each page of the range, the first in bit 0 of the first byte. `timedOut`: functions that may write unseen. */
  | { readonly kind: 'dirty-read'; readonly data: Uint8Array; readonly timedOut: number; readonly elapsedNs: number }
  | { readonly kind: 'ioas-alloc'; readonly ioas: number }
  /** `count`: how many there are; more than `ranges` where the caller has no room for them, which is EMSGSIZE. */
  | { readonly kind: 'ioas-ranges'; readonly ranges: readonly IovaRange[]; readonly count: number; readonly alignment: bigint }
  /** `processed`: requests that were done, in order; `error`: of the one after them. */
  | {
      readonly kind: 'domain-invalidate';
      readonly processed: number;
      readonly error?: ErrorName;
      readonly message: string;
      readonly timedOut: number;
      readonly elapsedNs: number;
    }
  | { readonly kind: 'memory-alloc'; readonly address: bigint; readonly bytes: bigint }
  | { readonly kind: 'memory-read'; readonly data: Uint8Array }
  /** Whether a host wants to know. */
  | { readonly kind: 'memory-dirty'; readonly logging: boolean }
  | ({ readonly kind: 'reset-prepare' } & WindowReport & Waited)
  | { readonly kind: 'reset-done'; readonly depth: number; readonly skipped: boolean; readonly warning: string; readonly elapsedNs: number }
  | ({
      readonly kind: 'reset';
      /** The one that has reset the function, and every one that was tried. */
      readonly method: ResetMethod;
      readonly tried: readonly ResetAttempt[];
      readonly pendingTimedOut: boolean;
      readonly warning: string;
    } & WindowReport &
      Waited)
  /** `functions`: what was reset, by address. */
  | ({ readonly kind: 'bus-reset'; readonly functions: readonly Bdf[]; readonly warning: string } & WindowReport & Waited)
  | { readonly kind: 'reset-methods'; readonly methods: readonly ResetMethod[]; readonly warning: string; readonly elapsedNs: number }
  | ({ readonly kind: 'dma' } & DmaResult)
  | { readonly kind: 'page-request'; readonly answer: PageAnswer; readonly group: number; readonly elapsedNs: number }
  | { readonly kind: 'page-faults'; readonly faults: readonly PageFault[] }
  | { readonly kind: 'ledger'; readonly entries: readonly LedgerEntry[] }
  | { readonly kind: 'fault-records'; readonly records: readonly FaultRecord[]; readonly overflow: number }
  | { readonly kind: 'fault-armed'; readonly armed: number; readonly elapsedNs: number }
  | {
      readonly kind: 'error-recover';
      readonly recovered: boolean;
      /** What the votes came to. */
      readonly status: Vote;
      readonly reset: 'none' | 'flr' | 'bus';
      readonly affected: readonly Bdf[];
      readonly warning: string;
      readonly elapsedNs: number;
    }
  | { readonly kind: 'fault-list'; readonly faults: readonly ArmedFaultSummary[] }
  | { readonly kind: 'clock'; readonly nowNs: number; readonly movedNs: number }
  | { readonly kind: 'trace-hash'; readonly hash: string }
  | ({ readonly kind: 'machine-status' } & MachineStatus)
  | { readonly kind: 'domain-list'; readonly domains: readonly DomainDetail[] };

/** Reply kinds of each command besides `refused`; `ok` where not named. */
export interface ReplyKinds {
  'region-read': 'region-read';
  'bus-read': 'region-read';
  'machine-status': 'machine-status';
  'domain-list': 'domain-list';
  'machine-info': 'machine-info';
  'function-list': 'function-list';
  'function-info': 'function-info';
  'config-read': 'config-read';
  'device-claim': 'device-claim';
  'function-regions': 'function-regions';
  'group-info': 'group-info';
  'irq-info': 'irq-info';
  'model-interrupt': 'interrupt';
  'device-interrupt': 'interrupt';
  'domain-alloc': 'domain-alloc';
  map: 'ok' | 'mapped';
  unmap: 'unmap';
  'iova-to-phys': 'iova-to-phys';
  'unmapped-ranges': 'unmapped-ranges';
  'ioas-alloc': 'ioas-alloc';
  'ioas-map': 'mapped';
  'ioas-copy': 'mapped';
  'ioas-unmap': 'unmap';
  'ioas-ranges': 'ioas-ranges';
  'domain-invalidate': 'domain-invalidate';
  'dirty-tracking-set': 'dirty-tracking-set';
  'dirty-read': 'dirty-read';
  'memory-alloc': 'memory-alloc';
  'memory-read': 'memory-read';
  'memory-dirty': 'memory-dirty';
  'dirty-log-read': 'memory-read';
  'reset-prepare': 'reset-prepare';
  'reset-done': 'reset-done';
  'function-plug': 'function-plug';
  'function-unplug': 'function-unplug';
  reset: 'reset';
  'reset-probe': 'reset-methods';
  'reset-methods-set': 'reset-methods';
  'bus-reset': 'bus-reset';
  'model-dma': 'dma';
  'model-page-request': 'page-request';
  'page-request': 'page-request';
  'page-faults': 'page-faults';
  'dma-list': 'dma-list';
  'dma-read': 'dma';
  'dma-write': 'dma';
  'dma-atomic': 'dma';
  ledger: 'ledger';
  'fault-records': 'fault-records';
  'fault-arm': 'fault-armed';
  'fault-list': 'fault-list';
  'error-recover': 'error-recover';
  'clock-info': 'clock';
  'clock-advance': 'clock';
  'trace-hash': 'trace-hash';
}
export type ReplyKindOf<K extends CommandKind> = K extends keyof ReplyKinds ? ReplyKinds[K] : 'ok';
export type ReplyOf<K extends CommandKind> = Extract<Reply, { kind: ReplyKindOf<K> }> | Refused;
