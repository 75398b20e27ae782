// long: one contract, read as a list
/**
 * What can be asked of a machine: with `reply.ts` and `outgoing.ts` the contract between `rpc` and core.
 *
 * Addresses: on the DMA path two int32 halves, elsewhere bigint. A needed argument is always present here: absence is found
 * in `rpc/decode`. `submit` throws {@link ModelError} for a malformed command before anything has changed; a refusal that the kernel
 * would make is a reply of kind `refused`.
 */
import type { Bdf, DmaOperation, HoldPoint, PageResponseCode, Pasid, ResetMethod } from '../base/index.ts';
import type { DefaultType, IovaRange } from '../iommu/index.ts';
import type { SlotSignal } from '../pci/index.ts';
import type { CallName, StepName } from './calls/call-steps.ts';
import type { FunctionSpec } from './spec.ts';

/** 64-bit IOVA as two int32 halves, for the hot path. */
export interface IovaHalves {
  readonly iovaLow: number;
  readonly iovaHigh: number;
}

// ---- commands of the host role -------------------------------------------------------------------------------------

export interface RegionRead {
  readonly kind: 'region-read';
  readonly bdf: Bdf;
  /** base/bus.ts REGION: 0–5 BARs, 7 configuration space. */
  readonly region: number;
  readonly offset: number;
  /** 1, 2 or 4; 8 for a BAR. Naturally aligned. */
  readonly bytes: number;
}
export interface RegionWrite extends Omit<RegionRead, 'kind'> {
  readonly kind: 'region-write';
  /** Little-endian register value: low and high int32 halves. */
  readonly valueLow: number;
  readonly valueHigh: number;
}
/** One of the writes of a {@link RegionWriteMulti}. */
export type RegionWriteItem = Omit<RegionWrite, 'kind' | 'bdf'>;
export interface RegionWriteMulti {
  readonly kind: 'region-write-multi';
  readonly bdf: Bdf;
  readonly writes: readonly RegionWriteItem[];
}
/** What an address is of: physical memory, I/O ports, or configuration space, whose addresses are function << 12 | offset. */
export const BUS_SPACES = ['memory', 'io', 'config'] as const;
export type BusSpace = (typeof BUS_SPACES)[number];

/** An access of a processor by address, which finds its way by registers as they stand. */
export interface BusRead {
  readonly kind: 'bus-read';
  readonly space: BusSpace;
  readonly address: bigint;
  /** 1, 2 or 4; 8 too in memory. Naturally aligned. */
  readonly bytes: number;
}
export interface BusWrite extends Omit<BusRead, 'kind'> {
  readonly kind: 'bus-write';
  readonly valueLow: number;
  readonly valueHigh: number;
}
/** What it waits for. The embedding program's own. */
export interface MachineStatusRead {
  readonly kind: 'machine-status';
}
/** The domains that hosts know. The embedding program's own. */
export interface DomainList {
  readonly kind: 'domain-list';
}
export interface MachineInfo {
  readonly kind: 'machine-info';
}
/** Functions that come while the machine runs. `port`: the slot that they come into. `functions`: a text is read by the embedding program ({@link FunctionReader}). */
export interface FunctionPlug {
  readonly kind: 'function-plug';
  readonly port: Bdf | undefined;
  readonly functions: readonly FunctionSpec[] | string;
}

/** `surprise`: pulled out; else what it has in flight may end, for `deadlineNs`. */
export interface FunctionUnplug {
  readonly kind: 'function-unplug';
  readonly bdf: Bdf;
  readonly surprise: boolean;
  readonly deadlineNs: number;
}

export interface FunctionList {
  readonly kind: 'function-list';
}
export interface FunctionInfo {
  readonly kind: 'function-info';
  readonly bdf: Bdf;
}
/** Configuration space, word by word: both multiples of 4. */
export interface ConfigRead {
  readonly kind: 'config-read';
  readonly bdf: Bdf;
  readonly offset: number;
  readonly bytes: number;
}
export interface FunctionRegions {
  readonly kind: 'function-regions';
  readonly bdf: Bdf;
}
export interface IrqInfo {
  readonly kind: 'irq-info';
  readonly bdf: Bdf;
}
/** Makes a `dma-probe` raise an interrupt: one of the two is given. */
export interface ModelInterrupt {
  readonly kind: 'model-interrupt';
  readonly bdf: Bdf;
  readonly vector: number | undefined;
  /** Its cause for INTx comes or goes. */
  readonly line: boolean | undefined;
}
/** Writes an entry of the interrupt remapping table; undefined: not present. */
export interface IrqRemapSet {
  readonly kind: 'irq-remap-set';
  readonly index: number;
  readonly entry: { readonly vector: number; readonly destination: number; readonly source: Bdf | undefined } | undefined;
}
export interface GroupInfo {
  readonly kind: 'group-info';
  /** Any member. */
  readonly bdf: Bdf;
}

export interface DomainAlloc {
  readonly kind: 'domain-alloc';
  readonly type: DomainType;
  /** A process's own address space (SVA): its unmap comes from `munmap`, with no driver to hold it back. */
  readonly sharedAddress: boolean;
  /** Of a paging domain: the format of its tables; absent: x86-64. */
  readonly format?: string | undefined;
  /** Of a paging domain: the address of tables that a guest wrote, physical or with `parent` the guest's; absent: the domain owns its tables. */
  readonly root?: bigint | undefined;
  /** Of a paging domain that owns its tables: the I/O address space that it stands for. */
  readonly ioas?: number | undefined;
  /** The paging domain that is the second stage of this one, which is nested then (iommufd's IOMMU_HWPT_ALLOC_NEST_PARENT). */
  readonly parent?: number | undefined;
  /** Of a domain that owns its tables: writes can be tracked. */
  readonly dirtyTracking?: boolean | undefined;
  /** Of tables that a guest wrote: the hardware keeps accessed and dirty flags in them. */
  readonly accessedDirty?: boolean | undefined;
  /** Of a paging domain: page requests in it become page faults for a host. One with a shared address space has this in any case. */
  readonly faults?: boolean | undefined;
}
export type DomainType = 'paging' | 'identity' | 'blocked';
export interface DomainFree {
  readonly kind: 'domain-free';
  readonly domain: number;
}
/** Attaches the function's whole group (iommu_attach_group / iommu_attach_device). */
export interface DomainAttach {
  readonly kind: 'domain-attach';
  readonly bdf: Bdf;
  /** Ignored with `ioas`. */
  readonly domain: number;
  /** Instead: the domain that stands for this I/O address space, made where there is none. The group must be claimed. */
  readonly ioas?: number | undefined;
}
/** Back to the group's default domain; must succeed (iommu_detach_device). */
export interface DomainDetach {
  readonly kind: 'domain-detach';
  readonly bdf: Bdf;
}
export interface PasidAttach {
  readonly kind: 'pasid-attach';
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  /** Ignored with `ioas`, which is as in DomainAttach. */
  readonly domain: number;
  readonly ioas?: number | undefined;
  /** Replaces an attached domain instead (iommu_replace_device_pasid). */
  readonly replace: boolean;
}
export interface PasidDetach {
  readonly kind: 'pasid-detach';
  readonly bdf: Bdf;
  readonly pasid: Pasid;
}
/** iommu_deferred_attach(): the driver of the function is about to use it. */
export interface DeferredAttach {
  readonly kind: 'deferred-attach';
  readonly bdf: Bdf;
}
/** The function no longer behaves: it is blocked at once, until a reset of it succeeds. Behaviours but `strict` refuse it: EOPNOTSUPP. */
export interface ReportBroken {
  readonly kind: 'report-broken';
  readonly bdf: Bdf;
}
/** Takes the group out of the kernel's hands (iommu_group_claim_dma_owner): it rests on its blocking domain. */
export interface OwnerClaim {
  readonly kind: 'owner-claim';
  readonly bdf: Bdf;
}
export interface OwnerRelease {
  readonly kind: 'owner-release';
  readonly bdf: Bdf;
}
/** Another default domain for the group (sysfs `type`). */
export interface DefaultDomainSet {
  readonly kind: 'default-domain-set';
  readonly bdf: Bdf;
  /** `auto`: as it is chosen when a group is probed. */
  readonly type: DefaultType | 'auto';
}
/** What changes a group under its mutex. */
export type ChangeCommand =
  | DomainAttach
  | DomainDetach
  | PasidAttach
  | PasidDetach
  | DeferredAttach
  | OwnerClaim
  | OwnerRelease
  | DefaultDomainSet;
/** A domain by number, or the one that a function (with a PASID, or without: NO_PASID) has attached. */
export type DomainTarget = { readonly domain: number } | { readonly bdf: Bdf; readonly pasid: Pasid };
export interface MapPages {
  readonly kind: 'map';
  readonly target: DomainTarget;
  /** Undefined: one is chosen, in the default domain of the function that `target` names (the DMA API). */
  readonly iova: bigint | undefined;
  readonly address: bigint;
  readonly bytes: bigint;
  /** base/bus.ts ACCESS bits. */
  readonly access: number;
}
export interface UnmapPages {
  readonly kind: 'unmap';
  readonly target: DomainTarget;
  readonly iova: bigint;
  readonly bytes: bigint;
}
/** What an IOVA maps to (iommu_iova_to_phys); address 0 with mapped false when nothing. */
export interface IovaToPhys {
  readonly kind: 'iova-to-phys';
  readonly target: DomainTarget;
  readonly iova: bigint;
}
/** Which parts of a range nothing is mapped in. */
export interface UnmappedRanges {
  readonly kind: 'unmapped-ranges';
  readonly target: DomainTarget;
  readonly iova: bigint;
  readonly bytes: bigint;
}

/** Notes which pages functions write from now on, all clean at first (IOMMU_HWPT_SET_DIRTY_TRACKING), or notes no more. */
export interface DirtyTrackingSet {
  readonly kind: 'dirty-tracking-set';
  readonly target: DomainTarget;
  readonly on: boolean;
}
/** Which pages of a range were written (IOMMU_HWPT_GET_DIRTY_BITMAP). */
export interface DirtyRead {
  readonly kind: 'dirty-read';
  readonly target: DomainTarget;
  readonly iova: bigint;
  readonly bytes: bigint;
  /** What one bit of the bitmap stands for. A page of the tables that is larger is dirty as a whole. */
  readonly pageBytes: bigint;
  /** What is told is clean afterwards. */
  readonly clear: boolean;
}

// ---- I/O address spaces (iommufd); addresses have both ends in -----------------------------------------------------

export interface IoasAlloc {
  readonly kind: 'ioas-alloc';
}
export interface IoasFree {
  readonly kind: 'ioas-free';
  readonly ioas: number;
}
export interface IoasMap {
  readonly kind: 'ioas-map';
  readonly ioas: number;
  /** Undefined: chosen. */
  readonly iova: bigint | undefined;
  readonly address: bigint;
  readonly bytes: bigint;
  readonly access: number;
}
export interface IoasCopy {
  readonly kind: 'ioas-copy';
  readonly from: number;
  readonly fromIova: bigint;
  readonly ioas: number;
  /** Undefined: chosen. */
  readonly iova: bigint | undefined;
  readonly bytes: bigint;
  readonly access: number;
}
/** Without `iova`: everything. */
export interface IoasUnmap {
  readonly kind: 'ioas-unmap';
  readonly ioas: number;
  readonly iova: bigint | undefined;
  readonly bytes: bigint | undefined;
}
export interface IoasRanges {
  readonly kind: 'ioas-ranges';
  readonly ioas: number;
  /** Not what is mapped either. */
  readonly unmapped: boolean;
  /** How many the caller has room for; undefined: all. */
  readonly max?: number | undefined;
}
export interface IoasAllow {
  readonly kind: 'ioas-allow';
  readonly ioas: number;
  readonly ranges: readonly IovaRange[];
}
/** IOMMU_HWPT_INVALIDATE of a domain whose tables a guest writes. */
export interface DomainInvalidate {
  readonly kind: 'domain-invalidate';
  readonly domain: number;
  readonly type: InvalidateType;
  readonly requests: readonly InvalidateRequest[];
}
/** Of VT-d first-stage tables (IOMMU_HWPT_INVALIDATE_DATA_VTD_S1). */
export type InvalidateType = 'vtd-s1';
export interface InvalidateRequest {
  readonly iova: bigint;
  /** Of 4 KiB; 2^64 - 1 with IOVA 0: everything. */
  readonly pages: bigint;
}

export interface MemoryAlloc {
  readonly kind: 'memory-alloc';
  readonly bytes: bigint;
}
export interface MemoryFree {
  readonly kind: 'memory-free';
  readonly address: bigint;
}
export interface MemoryRead {
  readonly kind: 'memory-read';
  readonly address: bigint;
  readonly bytes: number;
}
export interface MemoryWrite {
  readonly kind: 'memory-write';
  readonly address: bigint;
  readonly data: Uint8Array;
}

export type OnDeadline = 'abort' | 'fail';
export interface ResetPrepare {
  readonly kind: 'reset-prepare';
  readonly bdf: Bdf;
  /** Caller-chosen, 1 to 64 characters: the same token gets the same answer, another nests. */
  readonly token: string;
  /** How long the drain may take on the machine's clock. */
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
}
/** The reset itself, with no window of its own: its trigger and its readiness wait (__pci_reset_function_locked). */
export interface ResetTrigger {
  readonly kind: 'reset-trigger';
  readonly bdf: Bdf;
  /** Undefined: those that are enabled, one after the other. */
  readonly method: ResetMethod | undefined;
}
export interface ResetDone {
  readonly kind: 'reset-done';
  readonly bdf: Bdf;
  /** The window to close. Ignored with `all`. */
  readonly token: string;
  /** Ends every window of the function, also those of a host that is gone. */
  readonly all: boolean;
}
/** The whole of pci_reset_function(): save, BME off, pending wait, prepare, trigger, readiness, done, restore. */
export interface ResetFunction {
  readonly kind: 'reset';
  readonly bdf: Bdf;
  /** Undefined: those that are enabled are tried in their order, until one does not answer ENOTTY. */
  readonly method: ResetMethod | undefined;
  /** False: without prepare and done, as Linux before 7.0. */
  readonly window: boolean;
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
  /** EAGAIN where another reset has a lock that it needs (pci_try_reset_function); absent: it waits. */
  readonly tryLock?: boolean;
}
/** Asks each method whether it could reset the function (PCI_RESET_PROBE). */
export interface ResetProbe {
  readonly kind: 'reset-probe';
  readonly bdf: Bdf;
}
/** A write of the function's `reset_method` attribute. */
export interface ResetMethodsSet {
  readonly kind: 'reset-methods-set';
  readonly bdf: Bdf;
  /** Names separated by spaces, in the order in which they are to be tried; `default`; or nothing, which disables resets. */
  readonly methods: string;
}
/** Everything below a bridge at once (pci_reset_bus, or with `slot` the reset of its hot-plug slot). */
export interface BusReset {
  readonly kind: 'bus-reset';
  readonly bdf: Bdf;
  readonly slot: boolean;
  readonly tryLock: boolean;
  /** Of the windows that `strict` opens. */
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
}
/** Power off and on. No call of Linux's: nobody prepares for it. */
export interface ColdReset {
  readonly kind: 'cold-reset';
  /** A port: of what is below it. Undefined: of every function. */
  readonly bdf: Bdf | undefined;
}

/** Makes a `dma-probe` do one DMA operation. The reply comes when it has ended, whatever the function would learn of it. */
export interface ModelDma extends IovaHalves {
  readonly kind: 'model-dma';
  readonly bdf: Bdf;
  readonly operation: DmaOperation;
  readonly bytes: number;
  /** For writes and atomics (operand little-endian; compare-and-swap: compare then swap). */
  readonly data: Uint8Array | undefined;
  /** NO_PASID for none. */
  readonly pasid: Pasid;
  /** Through the function's ATC: translation requests where it has no entry, then translated requests (AT=10). */
  readonly translated: boolean;
  /** With a PASID: Privileged Mode Requested; absent: false. */
  readonly privileged?: boolean;
  /** With a PASID, of a read or `translate`: Execute Requested; absent: false. */
  readonly execute?: boolean;
  /** Of `translate`: it asks for the right to write too (NW clear); absent: false. */
  readonly write?: boolean;
  /** Of `translate`: how many translations it asks for, 1 to 8, of consecutive units (Length of 2 DW for each); absent: 1. */
  readonly translations?: number;
  readonly hold: HoldPoint | undefined;
  /** A held request goes on by itself after this time; 0: only by `dma-release`. */
  readonly holdNs: number;
  /**
   * `page-request`: the function first requests the pages that translation requests do not grant it, and does the operation when the answers are there.
   * Only with `translated`, or to translate.
   */
  readonly onFault?: 'fail' | 'page-request' | undefined;
}
/** Makes a `dma-probe` send page requests (PCIe §10.4) for consecutive pages. The reply comes with the group's answer; at once where there is none. */
export interface ModelPageRequest {
  readonly kind: 'model-page-request';
  readonly bdf: Bdf;
  readonly iova: bigint;
  readonly pages: number;
  /** ACCESS bits. */
  readonly access: number;
  readonly pasid: Pasid;
  readonly privileged: boolean;
  /** Page Request Group index; undefined: a free one. */
  readonly group: number | undefined;
  /** The last page is the last request of the group. */
  readonly last: boolean;
  /** A Stop Marker for the PASID instead; the fields about pages are ignored. */
  readonly stopMarker: boolean;
}
/** A host's answer to a page fault (iommufd's write to the fault queue): refused with EINVAL where none such is pending. */
export interface PageResponse {
  readonly kind: 'page-response';
  readonly fault: number;
  readonly answer: PageResponseCode;
}
/** Page faults that wait for an answer. */
export interface PageFaultList {
  readonly kind: 'page-faults';
}
export interface DmaRelease {
  readonly kind: 'dma-release';
  readonly bdf: Bdf;
  /** A request's number from the ledger, or 0 for all that are held. */
  readonly request: number;
}
export interface LedgerRead {
  readonly kind: 'ledger';
  readonly bdf: Bdf;
}

/**
 * Faults on purpose. `hold`: hold operations at `point`. `ignore-invalidations`, `late-invalidations` (by delayNs): the function's ATC.
 * `coalesced-completions`: its ATC completes the requests that this acts on by one message, when the last of them has come or `delayNs` (if not 0) after the
 * first; disarmed, at once. `atc-survives-reset`: not compliant. `never-ready`: no readiness after a reset. `attach-fails`: the IOMMU refuses the next
 * context change of the function with `EIO`. `late-completions` (by delayNs): of its reads, atomics and translation requests; past its Completion Timeout
 * it gives up. `duplicate-completions`: those and Invalidate Completions come twice. `wrong-itag`: it completes another Invalidate Request than it got.
 * `corrupt-completions`: a bit of what it reads is flipped, and nothing tells. `poisoned-data`: what it writes, and what it reads, comes with EP set.
 * `surprise-down`: the link to it and to what is below it is down, and what is sent over it vanishes; without end (`count` 0) it goes down at once, and is up
 * when the fault ends. `malformed-completions`: what completes is no valid TLP, which it logs; then its Completion Timeout ends it. `memory-errors`: memory in `range` answers DMA with `error`. `memory-stalls`: it answers `delayNs` late, or (0) when the fault ends.
 *
 * Each acts on occurrences from `first` (1 is the next) for `count` of them: an occurrence is an operation, an Invalidate Request, a reset, a context change, a
 * request that reaches the memory, or a thing sent over the link.
 */
export const FAULT_KINDS = [
  'hold',
  'ignore-invalidations',
  'late-invalidations',
  'atc-survives-reset',
  'never-ready',
  'attach-fails',
  'coalesced-completions',
  'late-completions',
  'duplicate-completions',
  'wrong-itag',
  'corrupt-completions',
  'poisoned-data',
  'surprise-down',
  'memory-errors',
  'memory-stalls',
  'malformed-completions',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];
/** How memory that errs answers: Unsupported Request, Completer Abort, or with poisoned data. */
export const MEMORY_ERRORS = ['unsupported-request', 'completer-abort', 'poisoned'] as const;
export type MemoryError = (typeof MEMORY_ERRORS)[number];
export interface FaultArm {
  readonly kind: 'fault-arm';
  /** Undefined only for a fault of memory: of whatever function's DMA. */
  readonly bdf: Bdf | undefined;
  readonly fault: FaultKind;
  readonly first: number;
  /** 0: without end. */
  readonly count: number;
  readonly point: HoldPoint | undefined;
  readonly delayNs: number;
  /** In force from then on the machine's clock, and until then; absent: at once, and without end. */
  readonly fromNs?: number | undefined;
  readonly untilNs?: number | undefined;
  /** Of a fault of memory, which needs it: physical. */
  readonly range?: { readonly address: bigint; readonly bytes: bigint } | undefined;
  /** Of `memory-errors`; absent: `completer-abort`. */
  readonly error?: MemoryError | undefined;
  /** Of a fault of memory that is of no one function: it acts on accesses of hosts too. Absent: false. */
  readonly hosts?: boolean | undefined;
}
/** By what FaultArm named: a function and a kind; or by the number that it was given, where ENOENT says that none is armed. */
export type FaultDisarm =
  | { readonly kind: 'fault-disarm'; readonly bdf: Bdf; readonly fault: FaultKind }
  | { readonly kind: 'fault-disarm'; readonly armed: number };
/** Every armed fault, by number. */
export interface FaultList {
  readonly kind: 'fault-list';
}
/** What a hand does at the slot of a port, or its power controller sees. EOPNOTSUPP: it has no such thing. */
export interface SlotSignalled {
  readonly kind: 'slot-signal';
  readonly bdf: Bdf;
  readonly signal: SlotSignal;
}
/** What a function's driver answers in a recovery from now on, in one of its callbacks (pci_error_handlers). */
export interface ErrorVote {
  readonly kind: 'error-vote';
  readonly bdf: Bdf;
  readonly callback: ErrorCallback;
  readonly vote: Vote;
}
export const ERROR_CALLBACKS = ['error-detected', 'mmio-enabled', 'slot-reset'] as const;
export type ErrorCallback = (typeof ERROR_CALLBACKS)[number];
/** Of pci_ers_result_t; `no-driver`: it has none, or one that handles no errors (PCI_ERS_RESULT_NO_AER_DRIVER). */
export const VOTES = ['can-recover', 'need-reset', 'disconnect', 'recovered', 'no-driver'] as const;
export type Vote = (typeof VOTES)[number];
/** pcie_do_recovery() for an error that this function told of: of what is below its port, or of itself where it has none. */
export interface ErrorRecover {
  readonly kind: 'error-recover';
  readonly bdf: Bdf;
  /** The error was fatal, or a port has contained: pci_channel_io_frozen. */
  readonly frozen: boolean;
}
/** Enables the reporting of errors in every function, as Linux does at boot. */
export interface ErrorReporting {
  readonly kind: 'error-reporting';
}
/** The IOMMU's fault records, oldest first, not consumed. */
export interface FaultRecords {
  readonly kind: 'fault-records';
}

/**
 * Holds calls before one of their steps (`call-steps.ts`): those of this name, on this function; an empty name or step is any, no function is every
 * one; several steps are each of them. EINVAL for a call that has no such step.
 */
export interface CallHold {
  readonly kind: 'call-hold';
  readonly call: CallName | '';
  readonly step: StepName | '' | readonly StepName[];
  readonly bdf: Bdf | undefined;
  /** How often it stops one; 0: without end. */
  readonly count: number;
}
/** Lets calls go on: those that the hold stopped, or one of them. ENOENT for a hold that is not. */
export interface CallRelease {
  readonly kind: 'call-release';
  readonly hold: number;
  /** A call's number from `calls-held`, which goes on alone, and the hold stays; 0: all that it stops. */
  readonly stopped: number;
  /** The hold stays, and stops them at their next step that it names. */
  readonly keep: boolean;
}
export interface CallsHeld {
  readonly kind: 'calls-held';
}

export interface ClockInfo {
  readonly kind: 'clock-info';
}
export interface ClockAdvance {
  readonly kind: 'clock-advance';
  readonly ns: number;
  /** Pass alarms even while an attached peer owes an answer, or holds the clock. */
  readonly force: boolean;
}
/** The clock passes no further than the peer grants, until it releases it or is gone. */
export interface ClockHold {
  readonly kind: 'clock-hold';
}
export interface ClockGrant {
  readonly kind: 'clock-grant';
  readonly ns: number;
}
export interface ClockRelease {
  readonly kind: 'clock-release';
}
export interface TraceHash {
  readonly kind: 'trace-hash';
}

// ---- commands of the memory and device roles -----------------------------------------------------------------------

export interface MemoryClaim {
  readonly kind: 'memory-claim';
  readonly address: bigint;
  readonly bytes: bigint;
  /** How many accesses the server may have outstanding with this owner. */
  readonly depth: number;
}
export interface MemoryRelease {
  readonly kind: 'memory-release';
  readonly address: bigint;
}
/** Of the owner: it has written these bytes of its range itself. */
export interface MemoryDirty {
  readonly kind: 'memory-dirty';
  readonly ranges: readonly { readonly address: bigint; readonly bytes: bigint }[];
}
/** Notes which pages of memory are written from now on, all clean at first, or notes no more. */
export interface DirtyLogSet {
  readonly kind: 'dirty-log-set';
  readonly on: boolean;
}
/** Which pages of a range of memory were written. */
export interface DirtyLogRead {
  readonly kind: 'dirty-log-read';
  readonly address: bigint;
  readonly bytes: bigint;
  /** What one bit of the bitmap stands for. */
  readonly pageBytes: bigint;
  /** What is told is clean afterwards. */
  readonly clear: boolean;
}
export const CONFIG_KEEPERS = ['server', 'emulator'] as const;
/** How a remote function wants to be accessed. */
export interface ClaimTerms {
  /** Who answers configuration requests. */
  readonly config: (typeof CONFIG_KEEPERS)[number];
  /** Writes to BARs are not answered. */
  readonly postedWrites: boolean;
  /** Of BAR accesses: 1, 2, 4 and 8 added up. */
  readonly widths: number;
  /** Several writes of one call arrive in one. */
  readonly writeMulti: boolean;
  /** The peer caches the function's translations itself: Invalidate Requests go to it, and its translated requests name physical addresses. */
  readonly ownAtc: boolean;
  /** How long it may take to answer a reset, wall clock; undefined: as any call. */
  readonly resetDeadlineMs: number | undefined;
}
/** Absent: the server keeps configuration space and the ATC, writes are answered one by one, all widths. */
export interface DeviceClaim extends Partial<ClaimTerms> {
  readonly kind: 'device-claim';
  /** Absent: where `declare` says. */
  readonly bdf?: Bdf;
  /** The empty slot of this port gets what `declare` says. */
  readonly port?: Bdf;
  /** One function, as a topology has it: read by the embedding program ({@link FunctionReader}). */
  readonly declare?: string;
}
/** Of the embedding program alone, which measures the grace time of absent functions and memory by wall clock. */
export interface GraceOver {
  readonly kind: 'grace-over';
  readonly functions: readonly Bdf[];
  /** Where absent ranges of memory begin; absent: none. */
  readonly memory?: readonly bigint[];
}
/** Absent `delayNs`: the alarm is taken back. */
export interface DeviceAlarmSet {
  readonly kind: 'device-alarm-set';
  readonly bdf: Bdf;
  readonly alarm: number;
  readonly delayNs: number | undefined;
}
export interface DeviceRelease {
  readonly kind: 'device-release';
  readonly bdf: Bdf;
}
export interface DmaRead extends IovaHalves {
  readonly kind: 'dma-read';
  readonly bdf: Bdf;
  readonly bytes: number;
  readonly pasid: Pasid;
  /** Through the function's ATC; of one whose peer keeps the ATC the address is physical. Absent: false. */
  readonly translated?: boolean;
  /** Both with a PASID. Absent: false. */
  readonly privileged?: boolean;
  readonly execute?: boolean;
}
export interface DmaRange extends IovaHalves {
  readonly bytes: number;
}
/** `data`: of a write, the ranges' bytes one behind the other. */
export interface DmaList {
  readonly kind: 'dma-list';
  readonly bdf: Bdf;
  readonly ranges: readonly DmaRange[];
  readonly write: boolean;
  readonly data: Uint8Array | undefined;
  readonly pasid: Pasid;
  /** As of {@link DmaRead}. */
  readonly translated?: boolean;
  readonly privileged?: boolean;
  readonly execute?: boolean;
}
export interface DmaWrite extends IovaHalves {
  readonly kind: 'dma-write';
  readonly bdf: Bdf;
  readonly data: Uint8Array;
  readonly pasid: Pasid;
  /** As of {@link DmaRead}. */
  readonly translated?: boolean;
  readonly privileged?: boolean;
}
/** An AtomicOp (PCIe §6.15). */
export interface DmaAtomic extends IovaHalves {
  readonly kind: 'dma-atomic';
  readonly bdf: Bdf;
  readonly operation: DmaOperation;
  readonly bytes: number;
  /** Its operands, little-endian. */
  readonly data: Uint8Array;
  readonly pasid: Pasid;
  /** As of {@link DmaRead}. */
  readonly translated?: boolean;
  readonly privileged?: boolean;
}
/** A translation request (PCIe §10.2.1). */
export interface DeviceTranslate extends IovaHalves {
  readonly kind: 'device-translate';
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  /** It asks for the right to write too (NW clear). */
  readonly write: boolean;
  readonly privileged: boolean;
  readonly execute: boolean;
  /** How many translations it asks for. */
  readonly translations: number;
}
/** An Invalidate Completion message of a function whose peer keeps its ATC (PCIe §10.3.2). */
export interface InvalidateComplete {
  readonly kind: 'invalidate-complete';
  readonly bdf: Bdf;
  /** A vector of ITags, unsigned. */
  readonly itags: number;
  /** Completion Count, 1 to 8. */
  readonly completions: number;
}

/** The same of a remote function, by its peer. */
export interface DeviceInterrupt extends Omit<ModelInterrupt, 'kind'> {
  readonly kind: 'device-interrupt';
}
/** The same of a remote function, by its peer. */
export interface PageRequestCommand extends Omit<ModelPageRequest, 'kind'> {
  readonly kind: 'page-request';
}

/** What a host may ask. */
export type HostCommand =
  | RegionRead
  | RegionWrite
  | RegionWriteMulti
  | BusRead
  | BusWrite
  | GraceOver
  | MachineStatusRead
  | DomainList
  | MachineInfo
  | FunctionList
  | FunctionPlug
  | FunctionUnplug
  | FunctionInfo
  | FunctionRegions
  | ConfigRead
  | GroupInfo
  | IrqInfo
  | ModelInterrupt
  | IrqRemapSet
  | DomainAlloc
  | DomainFree
  | DomainAttach
  | DomainDetach
  | PasidAttach
  | PasidDetach
  | DeferredAttach
  | ReportBroken
  | OwnerClaim
  | OwnerRelease
  | DefaultDomainSet
  | MapPages
  | UnmapPages
  | IovaToPhys
  | UnmappedRanges
  | IoasAlloc
  | IoasFree
  | IoasMap
  | IoasCopy
  | IoasUnmap
  | IoasRanges
  | IoasAllow
  | DomainInvalidate
  | DirtyTrackingSet
  | DirtyRead
  | MemoryAlloc
  | MemoryFree
  | MemoryRead
  | MemoryWrite
  | DirtyLogSet
  | DirtyLogRead
  | ResetPrepare
  | ResetTrigger
  | ResetDone
  | ResetFunction
  | ResetProbe
  | ResetMethodsSet
  | BusReset
  | ColdReset
  | ModelDma
  | ModelPageRequest
  | PageResponse
  | PageFaultList
  | DmaRelease
  | LedgerRead
  | FaultArm
  | FaultDisarm
  | FaultList
  | SlotSignalled
  | ErrorVote
  | ErrorRecover
  | ErrorReporting
  | FaultRecords
  | CallHold
  | CallRelease
  | CallsHeld
  | ClockInfo
  | ClockAdvance
  | ClockHold
  | ClockGrant
  | ClockRelease
  | TraceHash;
export type MemoryCommand = MemoryClaim | MemoryRelease | MemoryDirty;
export type DeviceCommand =
  | DeviceClaim
  | DeviceAlarmSet
  | DmaList
  | DeviceRelease
  | DmaRead
  | DmaWrite
  | DmaAtomic
  | DeviceTranslate
  | InvalidateComplete
  | DeviceInterrupt
  | PageRequestCommand;
export type Command = HostCommand | MemoryCommand | DeviceCommand;
export type CommandKind = Command['kind'];
