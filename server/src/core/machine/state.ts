// long: one vocabulary, read as a list
/**
 * The state of a machine's functions, of their requests in flight, and of calls that wait. All of it is plain data: an operation counts down
 * `pending` and is resumed at zero; there is no promise and no callback, so a machine can be saved with any of them pending.
 */
import type { Bdf, DmaOperation, Errno, ErrorName, HoldPoint, PageAnswer, Pasid, ResetMethod, TranslationEntry } from '../base/index.ts';
import type { FunctionModel } from '../devices/index.ts';
import type { Domain, GroupDevice, GroupStep, Ioas, IoasArea } from '../iommu/index.ts';
import type { ConfigSpace, IntxLine, MsixVectors } from '../pci/index.ts';
import type { EntryWords } from '../translation/index.ts';
import type { CallName } from './calls/call-steps.ts';
import type {
  ChangeCommand,
  ClaimTerms,
  DmaRange,
  ErrorCallback,
  FaultKind,
  InvalidateRequest,
  MemoryError,
  MemoryRead,
  MemoryWrite,
  ModelDma,
  OnDeadline,
  Vote,
} from './command.ts';
import type { Watchers } from './dma/watchers.ts';
import type { PeerId } from './outgoing.ts';
import type { DmaResult, IndeterminateRange, Refused, ResetAttempt, WindowReport } from './reply.ts';
import type { FunctionSpec } from './spec.ts';

/** A fault on purpose: acts on occurrences from `first` on, `count` of them (Infinity: without end), while it is in force. */
export interface ArmedFault {
  readonly id: number;
  readonly kind: FaultKind;
  /** Undefined for one of memory that acts on whatever function reaches it. */
  readonly bdf: Bdf | undefined;
  first: number;
  count: number;
  acted: number;
  readonly point: HoldPoint;
  readonly delayNs: number;
  /** The time on the machine's clock in which it is in force, its end not in it. */
  readonly fromNs: number;
  readonly untilNs: number;
  inForce: boolean;
  /** Of a fault of memory. */
  readonly range: PhysicalRange | undefined;
  readonly error: MemoryError;
  /** It acts on accesses of hosts too. */
  readonly hosts: boolean;
  /** Of `surprise-down`: the functions that it has taken away, by FunctionState.index; undefined while its link is up. */
  victims: readonly number[] | undefined;
}

export interface PhysicalRange {
  readonly address: bigint;
  readonly bytes: bigint;
}

/** What faults on purpose keep besides what each function has. */
export interface InjectedFaults {
  /** Of memory, oldest first. */
  readonly memory: ArmedFault[];
  /** When faults come into force and when they end, the next first. */
  readonly edges: FaultEdge[];
  next: number;
}

export interface FaultEdge {
  readonly atNs: number;
  readonly fault: ArmedFault;
}

/** What an armed fault does to a DMA operation: bits of {@link DmaTask.injected}. */
export const INJECTED = { poisoned: 1, corrupt: 2, twice: 4, late: 8, malformed: 16 } as const;

/** What `reset-done` answered. */
export interface ClosedWindow {
  readonly depth: number;
  readonly warning: string;
}

/** One function as the machine knows it. */
export interface FunctionState {
  /** The id of its alarms; no two functions of a machine's life share it. */
  readonly index: number;
  readonly bdf: Bdf;
  readonly spec: FunctionSpec;
  readonly config: ConfigSpace;
  readonly model: FunctionModel;
  /** Resets of the model: what it started in a life before is none of its business. */
  modelLife: number;
  /** Sequence numbers of the alarms that its model has set, by their ids; 0 for none. */
  readonly modelAlarms: number[];
  /** Bridges from the nearest to the root. */
  path: readonly FunctionState[];
  /** Handle of the device context without PASID of the requester ID that its requests bear at the root. */
  context: number;
  /** Undefined without an IOMMU. */
  device: GroupDevice | undefined;
  /** The in-flight ledger: every request that has been issued and has not ended, in issue order. */
  entries: Request[];
  /** Closed by a drain, until translation is restored. */
  gateOpen: boolean;
  /** Rises when what is in flight is dropped: an answer to an older epoch is late. */
  epoch: number;
  /** In a reset or not ready after it. */
  resetting: boolean;
  /** By a Secondary Bus Reset above it that is not over. */
  heldInReset: boolean;
  /** Of a bridge: the functions that its Secondary Bus Reset holds. */
  holdsInReset: readonly FunctionState[];
  /** The `reset_method` attribute; undefined: every method that it supports. */
  resetMethods: readonly ResetMethod[] | undefined;
  /** Configuration space as it was last saved (pci_save_state). */
  saved: Uint8Array | undefined;
  /** When the time that its last reset takes is over. */
  readyAtNs: number;
  /** Resets that a remote function's peer has not answered. */
  peerResets: number;
  /** A fault on purpose: this reset never ends in readiness, and this one left the ATC as it was. */
  neverReady: boolean;
  atcKept: boolean;
  /** A reset or a restore failed, and no reset has begun since: `strict` keeps the function blocked. */
  needsReset: boolean;
  /** The peer that plays a `remote` function; 0: nobody. */
  claimedBy: PeerId;
  /** The peer that vanished, for as long as the function may be claimed again as what it was; 0: none. */
  absentOf: PeerId;
  /** A claim has plugged it in: it goes with that. */
  comesWithClaim: boolean;
  /** How it wants to be accessed; undefined: nobody plays it. */
  claim: RemoteClaim | undefined;
  /** It has been said that its DMA addresses are physical. */
  warnedDirect: boolean;
  readonly armed: Map<FaultKind, ArmedFault>;
  /** What its driver answers in a recovery, where a host has said so. */
  readonly votes: Map<ErrorCallback, Vote>;
  /** Configuration space as it was when its link went down or a recovery reset it: what its driver restores. */
  savedConfig: Uint8Array | undefined;
  /** Of a port with containment that was triggered: the functions below, by FunctionState.index. */
  contained: readonly number[] | undefined;
  /** The same of a slot whose power is off; undefined while it is on. */
  unpowered: readonly number[] | undefined;
  /** How many things keep the link above it down; what is sent over a link that is down vanishes. */
  linkDown: number;
  /** Of a virtual function: the physical function that it belongs to. */
  readonly physical: FunctionState | undefined;
  /** A reset of its physical function has taken it away, and may bring it back: what its configuration space was then. */
  suspended: Uint8Array | undefined;
  /** The call that takes it out, 0 for none. */
  leaving: number;
  /** ITags (a vector) that its ATC has done and completes together with others, and the alarm that ends that, 0 for none. */
  gathered: { itags: number; readonly alarm: number } | undefined;
  /** How the last windows were closed, oldest first: asking again with the token tells (design §5). */
  readonly closedWindows: Map<string, ClosedWindow>;
  readonly interrupts: InterruptState;
  /** What its Vital Product Data holds; undefined without. */
  readonly vitalProductData: Uint8Array | undefined;
  /** A switch or a conventional bus is above it, where its requests may go to peers. */
  turns: boolean;
  /** The bus number that it captured from the last write of its configuration space. */
  capturedBus: number;
  /** The operation that holds the function's reset lock (device_lock), 0 for none. */
  resetHolder: number;
}

export interface RemoteClaim extends ClaimTerms {
  /** Where its emulator keeps configuration space: what it has been told of it, and the shadow's count of changes and resets then. */
  readonly told: Uint8Array;
  changes: number;
  resets: number;
  /** Offsets at which it reads otherwise than was written. */
  readonly differs: Set<number>;
}

/** What a function has of its interrupts besides its configuration space. */
export interface InterruptState {
  /** Undefined without MSI-X. */
  readonly vectors: MsixVectors | undefined;
  /** The table as it was last saved, with the configuration space. */
  savedTable: Uint32Array | undefined;
  /** It has a cause for INTx. */
  cause: boolean;
  /** Its pin is asserted; at the root once the message is there. */
  asserted: boolean;
  /** Of the line at the root that it asserts. */
  line: IntxLine | undefined;
  /** Of a port: the causes that its registers had when it was last looked. */
  portCauses: number;
}

export type RequestKind = 'memory' | 'translation' | 'msi' | 'invalidation-completion' | 'page-request' | 'intx';

/**
 * One request on the bus: an entry of its function's in-flight ledger. It exists only while something holds it: an injected hold, a
 * latency, the order of posted writes, or memory that a peer owns.
 */
export interface Request {
  readonly id: number;
  readonly fn: FunctionState;
  readonly kind: RequestKind;
  /** Undefined for an Invalidate Completion and a page request. */
  readonly task: DmaTask | undefined;
  readonly operation: DmaOperation;
  readonly posted: boolean;
  /** First byte: int32 halves. */
  readonly iovaLow: number;
  readonly iovaHigh: number;
  readonly bytes: number;
  /** Where its bytes stand in the task's data. */
  readonly dataOffset: number;
  readonly pasid: Pasid;
  /** Carries a translated address (AT=10), in `page`. */
  translated: boolean;
  /** Will carry one: the function waits for its translation first. */
  readonly viaAtc: boolean;
  /** Its translation has needed page tables that a peer's memory has. */
  walk: TableWalk | undefined;
  /** Of an Invalidate Completion: its ITag vector. Of INTx: 1 asserts. */
  readonly itags: number;
  /** Of an Invalidate Completion: how many each of these requests gets (CC). */
  readonly completions: number;
  readonly epoch: number;
  readonly sinceNs: number;
  /** Where it stops; undefined once it was released or where nothing holds it. */
  holdAt: HoldPoint | undefined;
  readonly holdNs: number;
  holdAlarm: number;
  held: boolean;
  /** When its alarm rings, the function gives it up: the Completion Timeout. */
  timesOut: boolean;
  /** What it waited for comes so long after that, when nothing waits for it any more; 0: never. */
  lateNs: number;
  /** The last fault of memory that has stalled it, 0 for none. */
  stalledBy: number;
  point: HoldPoint | 'sent' | 'indeterminate';
  /** Physical page, and the rights and space it was translated with. */
  page: number;
  access: number;
  spaceId: number;
  owner: PeerId;
  /** The registers of another function that it goes to; undefined: it goes to memory. */
  peer: PeerTarget | undefined;
  /** The bridge, or the function, that completed it without success; undefined: the root complex does. */
  stoppedBy: FunctionState | undefined;
  /** Dropped: an answer that still comes is late. */
  dead: boolean;
  /** An invalidation overtook this translation request: its completion is not cached. */
  overtaken: boolean;
  /** Operations to wake when it has been performed (or will never be), and when it has ended. */
  onPerformed: Watchers;
  onEnded: Watchers;
}

/** What owners of memory have answered for a request's walk of page tables. */
export interface TableWalk {
  /** By `entryKey`; undefined: the owner gave none. */
  readonly answers: Map<number, EntryWords | undefined>;
  /** `AwaitedEntries.changes` when they were asked: later they are worth nothing. */
  changes: number;
  /** Who has been asked for an entry and has not answered; 0: nobody. */
  owner: PeerId;
}

/** A DMA of a function's model, by index, started in that life of it. */
export interface ModelOrigin {
  readonly model: number;
  readonly tag: number;
  readonly life: number;
  readonly sinceNs: number;
}

/** Who gets the reply: a call of a peer, an operation that this one is a part of, or a model. */
export type Origin =
  | { readonly peer: PeerId; readonly token: number; readonly sinceNs: number }
  | { readonly operation: number; readonly part?: number; readonly sinceNs: number }
  | ModelOrigin;

export interface Pending {
  readonly id: number;
  readonly origin: Origin;
  /** Things awaited. */
  pending: number;
  /** Of the awaited invalidations. */
  completed: number;
  timedOut: number;
  /** The alarm it has set, 0 for none. */
  alarm: number;
}

/** One DMA operation of a function, split into requests. */
export interface DmaTask extends Pending {
  readonly kind: 'dma';
  readonly fn: FunctionState;
  /** Of the function's model, which a reset since then has made another. */
  readonly life: number;
  readonly operation: DmaOperation;
  /** Of a message: the vector of the function that it is for; -1: it is none. */
  readonly vector: number;
  readonly iovaLow: number;
  readonly iovaHigh: number;
  readonly bytes: number;
  /** Write data or atomic operands in; read data or the old value out. The caller's until something holds the operation, then a copy. */
  data: Uint8Array;
  readonly pasid: Pasid;
  readonly context: number;
  readonly translated: boolean;
  /** What its requests ask beside their PASID: Privileged Mode Requested, Execute Requested. */
  readonly privileged: boolean;
  readonly execute: boolean;
  /** Of `translate`: the right to write is asked for too. */
  readonly write: boolean;
  readonly hold: HoldPoint | undefined;
  readonly holdNs: number;
  requests: number;
  /** Offset of the first byte that did not take effect; `bytes` when all did. */
  failedAt: number;
  /** Index into OUTCOMES, of the request at `failedAt`. */
  outcome: number;
  /** The peer that is gone, whose memory that request met; 0: it is not that. */
  absentOwner: number;
  /** Bits of {@link INJECTED}. */
  injected: number;
  /** `translate`: how many translations it asks for, and the entries of its completion. */
  readonly translations: number;
  completion: readonly TranslationEntry[] | undefined;
}

/** A call that goes through named steps (`call-steps.ts`), and may be held before any. */
export interface Stepped extends Pending {
  readonly call: CallName;
  /** The function that it is about; undefined for a domain's. */
  readonly bdf: Bdf | undefined;
  /** Where it stands in the phases of its kind. */
  phase: number;
  /** Steps on the group that come before the next phase. */
  todo: GroupStep[];
  /** Of a step that the hardware refused. */
  error: Errno;
  /** The hold before whose step it stands; 0: none. */
  heldBy: number;
  /** It was let go before the step where it stands, and is not held there again. */
  passes: boolean;
}

export interface UnmapTask extends Stepped {
  readonly kind: 'unmap';
  readonly domain: Domain;
  readonly iova: bigint;
  readonly asked: bigint;
  /** Undone. */
  bytes: bigint;
  /** It gives back an address of the DMA API: at its end, or (lazy) when a flush that starts after it has finished. */
  readonly givesBack: boolean;
}

/** A flush of all that is cached of a lazy default domain. */
export interface FlushTask extends Stepped {
  readonly kind: 'flush';
  readonly domain: Domain;
  /** Unmaps that found its queue full. */
  readonly waiters: number[];
}

/** An unmap in an I/O address space: one unmap in each of its domains for each run of areas. */
export interface IoasUnmapTask extends Pending {
  readonly kind: 'ioas-unmap';
  readonly ioas: Ioas;
  readonly areas: readonly IoasArea[];
  readonly bytes: bigint;
  readonly error: Errno;
  /** Unmaps that have not replied yet. */
  parts: number;
}

/** An array of invalidation requests for a domain whose tables a guest writes, one after the other. */
export interface InvalidateTask extends Pending {
  readonly kind: 'domain-invalidate';
  readonly domain: Domain;
  readonly requests: readonly InvalidateRequest[];
  processed: number;
  /** The one after those is under way. */
  sent: boolean;
}

/** A change of dirty tracking, or what was dirty: waits until no translation from before can hide a write. */
export interface DirtyTask extends Pending {
  readonly kind: 'dirty';
  /** What is replied; undefined for a change. */
  readonly bitmap: Uint8Array | undefined;
}

/** An attach, detach or change of ownership: holds the group mutex until its invalidations have settled. */
export interface ChangeTask extends Stepped {
  readonly kind: 'change';
  readonly command: ChangeCommand;
  readonly device: GroupDevice;
  /** The domain that it attaches. */
  pinned: Domain | undefined;
  /** Of a change of the default domain: the one that was made, and the one that was there. */
  outgoing: readonly Domain[];
}

export interface PrepareTask extends Stepped {
  readonly kind: 'prepare';
  readonly fn: FunctionState;
  readonly device: GroupDevice;
  readonly token: string;
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
  /** Of a window of one of its virtual functions. */
  refused: Refused | undefined;
  /** In the ledger when the drain began. */
  inFlight: number;
  aborted: number;
  indeterminate: readonly IndeterminateRange[];
  report: WindowReport;
}

/** A function that leaves the machine: pci_stop_and_remove_bus_device() and iommu_release_device(). */
export interface LeaveTask extends Stepped {
  readonly kind: 'leave';
  readonly fn: FunctionState;
  /** Its link is down: nothing is drained. */
  surprise: boolean;
  readonly deadlineNs: number;
  readonly reason: 'unplugged' | 'surprise' | 'vf-disabled';
  /** In its ledger when the drain began, and dropped. */
  inFlight: number;
  aborted: number;
}

/** What is taken out together; each part is a {@link LeaveTask}. */
export interface UnplugTask extends Pending {
  readonly kind: 'unplug';
  /** What was asked to go. */
  readonly bdf: Bdf;
  readonly functions: readonly Bdf[];
  /** Parts that have not ended. */
  parts: number;
  drained: number;
  aborted: number;
}

/** Functions that have come, and are not ready yet. */
export interface PlugTask extends Pending {
  readonly kind: 'plug';
  readonly functions: readonly Bdf[];
}

export interface DoneTask extends Stepped {
  readonly kind: 'done';
  readonly fn: FunctionState;
  readonly device: GroupDevice;
  readonly token: string;
  readonly all: boolean;
  /** The windows that it closes. */
  closing: readonly string[];
  /** Members that were blocked because of this one, and get their domain with it. */
  released: readonly GroupDevice[];
  /** `strict`: one that shares a requester ID with it is still blocked, and it waits for that. */
  waits: boolean;
  /** A reset failed, and no reset has begun since: translation is not restored. */
  stays: boolean;
  warning: string;
}

/** pcie_do_recovery(). */
export interface RecoverTask extends Stepped {
  readonly kind: 'recover';
  /** That told of the error. */
  readonly fn: FunctionState;
  /** Above what is recovered; undefined where the function has no link. */
  readonly port: FunctionState | undefined;
  readonly affected: readonly FunctionState[];
  readonly frozen: boolean;
  /** What the votes have come to. */
  status: Vote;
  reset: 'none' | 'flr' | 'bus';
  /** What is awaited is the reset, and not windows. */
  inReset: boolean;
  warning: string;
}

/** What is done of a reset, one after the other: `reset-steps.ts` has a row for each. */
export type ResetStep =
  | 'announce'
  | 'power-up'
  | 'save'
  | 'wait-pending'
  | 'prepare'
  | 'initiate-flr'
  | 'flr-time'
  | 'ready'
  | 'check-d0'
  | 'd3hot'
  | 'd3-delay'
  | 'd0'
  | 'evaluate-rst'
  | 'quirk'
  | 'quirk-refuses'
  | 'firmware'
  | 'check-unmasked'
  | 'check-sole'
  | 'unmask-bus-reset'
  | 'hold-bus'
  | 'hold-time'
  | 'release-bus'
  | 'conventional-time'
  | 'link-time'
  | 'ready-early'
  | 'link-active'
  | 'ready-late'
  | 'mask-bus-reset'
  | 'done'
  | 'restore'
  | 'announce-end';

/** What is asked: plain data, which may wait for locks. */
export interface ResetRequest {
  /**
   * `function`: pci_reset_function(). `trigger`: its methods, without a wait for pending transactions, which whoever has a window open has drained. `bus`, `slot`: everything below the bridge at `bdf`. `probe`: which methods there are. `reprobe`: as
   * pci_init_reset_methods(), which makes these the enabled ones. `set-methods`: a write of `reset_method` that names them.
   */
  readonly goal: 'function' | 'trigger' | 'bus' | 'slot' | 'probe' | 'reprobe' | 'set-methods';
  readonly bdf: Bdf;
  /** In the order in which they are tried. */
  readonly methods: readonly ResetMethod[];
  /** Saves, quiesces and restores; without it only the methods are run (__pci_reset_function_locked, pci_bus_error_reset). */
  readonly whole: boolean;
  readonly window: boolean;
  /** A recovery asks, which has the locks and restores what it has saved. */
  readonly ofRecovery?: true;
  /** EAGAIN where a lock is held, instead of waiting. */
  readonly tryLock: boolean;
  readonly deadlineNs: number;
  readonly onDeadline: OnDeadline;
}

export interface ResetTask extends Pending {
  readonly kind: 'reset';
  readonly request: ResetRequest;
  /** The function; of a bus or slot the bridge. */
  readonly fn: FunctionState;
  /** What is announced, saved and restored. */
  readonly functions: readonly FunctionState[];
  /** Whose locks it has. */
  readonly locked: readonly FunctionState[];
  /** Functions that its windows are opened on. */
  readonly fenced: readonly FunctionState[];
  /** The bridge whose bus it resets, and the function whose readiness stands for that bus's, as they were when it began. */
  readonly bridge: FunctionState | undefined;
  readonly child: FunctionState | undefined;
  part: 'enter' | 'method' | 'leave';
  steps: readonly ResetStep[];
  at: number;
  /** Methods that it has not begun with; the one at work, or the last. */
  methods: readonly ResetMethod[];
  method: ResetMethod | undefined;
  readonly tried: ResetAttempt[];
  /** Of the step: polls, or the next delay in ms; 0 where it begins. */
  poll: number;
  /** Replies of prepare or done that it awaits. */
  parts: number;
  /** For each prepare of the method whether it has opened windows; the done of the last comes first. */
  readonly windows: boolean[];
  /** It has unmasked Secondary Bus Reset in a CXL port. */
  unmasked: boolean;
  /** Why the method fails: of its steps only those that undo something are still done. */
  error: ResetError | undefined;
  pendingTimedOut: boolean;
  report: WindowReport;
  warning: string;
}

/** A reply that was a refusal. */
export type Refusal = Pick<Refused, 'code' | 'message'>;

export interface ResetError {
  readonly code: ErrorName;
  readonly message: string;
}

/** An access that a peer performs: client-owned memory for a host, or a remote function's register. */
export interface PeerAccessTask extends Pending {
  readonly kind: 'peer-access';
  /** The function whose register it is, by its number; -1: memory. */
  readonly index: number;
  readonly bytes: number;
  readonly reply: 'region-read' | 'config-read' | 'memory-read' | 'ok';
  /** Who was asked, and for what: where no answer comes it is named. */
  readonly owner: PeerId;
  readonly region: number;
  readonly offset: number;
  /** Answers that have not come. */
  parts: number;
  /** Of `config-read`: what was read. */
  readonly data: Uint8Array | undefined;
}

/** A scatter list; each range is a part. */
export interface DmaListTask extends Pending {
  readonly kind: 'dma-list';
  readonly ranges: readonly DmaRange[];
  /** What was read, a range behind the other; undefined of a write. */
  readonly data: Uint8Array | undefined;
  readonly results: (DmaResult | undefined)[];
  /** Ranges that have not ended. */
  parts: number;
}

/** A claim that waits until what stands in its slot is gone. */
export interface ClaimTask extends Pending {
  readonly kind: 'claim';
  readonly owner: PeerId;
  readonly terms: ClaimTerms;
  /** What comes. */
  readonly spec: FunctionSpec;
  readonly comesWithClaim: boolean;
}

/** Several writes to registers of a function, each a part. */
export interface WriteMultiTask extends Pending {
  readonly kind: 'write-multi';
  /** Parts that have not been answered. */
  parts: number;
  /** The first refusal. */
  error: Refusal | undefined;
}

/** A place in a BAR of a function, by its index. */
export interface PeerTarget {
  readonly index: number;
  readonly region: number;
  readonly offset: number;
}

/** One word of it. */
export interface PeerAccess {
  readonly bdf: Bdf;
  readonly region: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A request that goes to registers of another function. */
export interface PeerDmaTask extends Pending {
  readonly kind: 'peer-dma';
  readonly request: Request;
  readonly target: PeerTarget;
  /** Bytes that have been answered, and those of the access under way. */
  at: number;
  word: number;
}

/** An access of a host to memory that stalls on purpose. */
export interface HostAccessTask extends Pending {
  readonly kind: 'host-access';
  readonly command: MemoryRead | MemoryWrite;
  /** The fault that stalls it. */
  readonly stalledBy: number;
}

/** What an IOVA maps to, by tables in memory that a peer owns: waits for one entry after the other. */
export interface LookupTask extends Pending {
  readonly kind: 'lookup';
  readonly domain: Domain;
  readonly iova: bigint;
  /** As {@link TableWalk} has them. */
  readonly answers: Map<number, EntryWords | undefined>;
  changes: number;
}

/** A BAR read whose reply waits until earlier posted writes of the function are performed. */
export interface BarReadTask extends Pending {
  readonly kind: 'bar-read';
  readonly fn: FunctionState;
  readonly region: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Page requests of a function that wait for their group's answer, or for room to be sent; and the DMA that they are for. */
export interface PageRequestTask extends Pending {
  readonly kind: 'page-request';
  readonly fn: FunctionState;
  readonly pasid: Pasid;
  /** What is done when the pages are there; undefined: the reply is the answer. */
  readonly dma: ModelDma | undefined;
  group: number;
  /** Of the last group; `none` until it has come. */
  answer: PageAnswer;
  /** Pages of the DMA that were missing in the last round, and answers of success since which brought none. */
  missing: number;
  fruitless: number;
}

/** `clock-advance` while a peer owes an answer. */
export interface AdvanceTask extends Pending {
  readonly kind: 'advance';
  readonly targetNs: number;
  readonly force: boolean;
}

export type SteppedCall = UnmapTask | FlushTask | ChangeTask | PrepareTask | DoneTask | LeaveTask | RecoverTask;
export type Operation =
  | DmaTask
  | SteppedCall
  | IoasUnmapTask
  | InvalidateTask
  | DirtyTask
  | ResetTask
  | UnplugTask
  | PlugTask
  | PeerAccessTask
  | HostAccessTask
  | WriteMultiTask
  | ClaimTask
  | DmaListTask
  | PeerDmaTask
  | LookupTask
  | BarReadTask
  | PageRequestTask
  | AdvanceTask;

/** A reset that waits for locks. */
export interface Deferred {
  readonly origin: Origin;
  readonly request: ResetRequest;
}
