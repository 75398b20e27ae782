// long: an example of every reply, read as a list
import type { TraceRecord, TraceSink } from '../../../server/src/core/base/index.ts';
import { ModelError } from '../../../server/src/core/base/index.ts';
import type {
  Absent,
  Command,
  CommandKind,
  MachineEvent,
  MachinePort,
  Outgoing,
  PeerAnswer,
  PeerCall,
  PeerId,
  PeerRoles,
  Reply,
} from '../../../server/src/core/machine/index.ts';

export interface Submitted {
  readonly peer: PeerId;
  readonly token: number;
  readonly command: Command;
}

/** A machine that does what a test tells it: it notes its inputs and answers by `react`. */
export class FakeMachine implements MachinePort {
  readonly spec = { name: 'fake' };
  readonly submitted: Submitted[] = [];
  readonly answers: { readonly peer: PeerId; readonly token: number; readonly answer: PeerAnswer }[] = [];
  readonly attached: { readonly peer: PeerId; readonly roles: PeerRoles }[] = [];
  readonly detached: PeerId[] = [];
  readonly timedOut: PeerId[] = [];
  readonly passed: number[] = [];
  /** Functions that peers have left. */
  left: readonly Absent[] = [];
  alarmNs: number | undefined;
  /** Posted calls in a row that it did not serve. */
  vain = 0;
  /** The reply to a command; undefined holds it. May throw. */
  react: (command: Command, submitted: Submitted) => Reply | undefined = replyTo;
  /** What is wrong with an answer. May throw. */
  onAnswer: (answer: PeerAnswer) => string | undefined = () => undefined;
  readonly traceListeners = new Set<TraceSink>();
  trace?: { listen(sink: TraceSink): () => void } = {
    listen: (sink) => {
      this.traceListeners.add(sink);
      return () => this.traceListeners.delete(sink);
    },
  };
  #outbox: Outgoing[] = [];
  #nextPeer = 1;
  #nextToken = 1;

  peerAttach(roles: PeerRoles): PeerId {
    const peer = this.#nextPeer++;
    this.attached.push({ peer, roles });
    return peer;
  }
  peerDetach(peer: PeerId): void {
    this.detached.push(peer);
  }
  absent(): readonly Absent[] {
    return this.left;
  }
  peerTimeout(peer: PeerId): void {
    this.timedOut.push(peer);
  }
  submit(peer: PeerId, token: number, command: Command): void {
    const submitted = { peer, token, command };
    this.submitted.push(submitted);
    const reply = this.react(command, submitted);
    if (reply !== undefined) this.reply(submitted, reply);
  }
  answer(peer: PeerId, token: number, answer: PeerAnswer): string | undefined {
    this.answers.push({ peer, token, answer });
    return this.onAnswer(answer);
  }
  takeOutbox(): readonly Outgoing[] {
    const items = this.#outbox;
    if (items.length > 0) this.#outbox = [];
    return items;
  }
  nextAlarmNs(): number | undefined {
    return this.alarmNs;
  }
  passRealTime(nowNs: number): void {
    this.passed.push(nowNs);
  }
  owedBy(): number {
    return 0;
  }
  unserved(): { unserved: number; unservedWhy: string } {
    return { unserved: this.vain, unservedWhy: 'no such thing' };
  }

  // ---- what a test makes it do; the host takes it at the next input

  reply(to: Submitted, reply: Reply): void {
    if (to.token !== 0) this.#outbox.push({ to: to.peer, type: 'reply', token: to.token, reply });
  }
  event(event: MachineEvent): void {
    this.#outbox.push({ to: 'hosts', type: 'event', event });
  }
  ask(peer: PeerId, call: PeerCall): number {
    const token = this.#nextToken++;
    this.#outbox.push({ to: peer, type: 'call', token, call });
    return token;
  }
  emitTrace(record: TraceRecord): void {
    for (const sink of this.traceListeners) sink(record);
  }
}

const REPORT = {
  skipped: false,
  depth: 1,
  drained: 2,
  aborted: 3,
  indeterminate: 1,
  indeterminateRanges: [{ address: 0x8000_0000_1000n, bytes: 64 }],
  completed: 4,
  timedOut: 5,
};
const DOMAIN = { id: 9, type: 'paging', sharedAddress: true } as const;
const SUMMARY = {
  bdf: 0x10,
  model: 'dma-probe',
  label: 'probe',
  configBytes: 4096,
  vendor: 0x1234,
  device: 0x11e8,
  classCode: 0xff0000,
  secondaryBus: -1,
  group: 3,
  atsSupported: true,
  blocked: true,
  resetDepth: 1,
  gate: 'closed',
  inFlight: 2,
  absent: false,
  linkDown: true,
  physicalFunction: 0x8,
} as const;
const DMA = {
  kind: 'dma',
  outcome: 'not-present',
  requests: 2,
  bytesDone: 4096,
  data: undefined,
  failedIova: 0xffff_8000_0000_1000n,
  absentOwner: undefined,
  grants: undefined,
  elapsedNs: 17,
} as const;

const PAGE_FAULT = {
  number: 5,
  timeNs: 6,
  bdf: 0x10,
  pasid: 7,
  group: 511,
  domain: 9,
  ranges: [{ iova: 0xffff_8000_0000_1000n, pages: 2, access: 7, privileged: true }],
} as const;

type Replies = { readonly [K in CommandKind]: unknown };
/** A reply with something in every field, for each command. */
const REPLIES = {
  'region-read': { kind: 'region-read', valueLow: -1, valueHigh: 0x1234 },
  'bus-read': { kind: 'region-read', valueLow: 0x8765_4321, valueHigh: 0 },
  'machine-info': {
    kind: 'machine-info',
    name: 'fake',
    seed: 0xffff_ffff,
    behaviour: 'strict',
    clock: 'auto',
    nowNs: 2 ** 53 - 1,
    functions: 3,
    iommu: true,
  },
  'function-list': { kind: 'function-list', functions: [SUMMARY, { ...SUMMARY, secondaryBus: 1, group: -1, gate: 'open' }] },
  'function-info': {
    kind: 'function-info',
    function: {
      ...SUMMARY,
      busMaster: true,
      atsEnabled: false,
      resetMethods: ['flr', 'pm'],
      logicalDomain: DOMAIN,
      physicalDomain: undefined,
      pasids: [{ pasid: 5, logicalDomain: DOMAIN, physicalDomain: undefined }],
      windows: ['w'],
      armedFaults: ['never-ready'],
      itags: 2,
      attachDeferred: true,
      directRegions: [{ address: 0x7f00_0000n, bytes: 0x1_0000n, relaxable: true }],
      reservedRegions: [{ address: 0x7f00_0000n, bytes: 0x1_0000n, type: 'direct-relaxable' }],
    },
  },
  'config-read': { kind: 'config-read', data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
  'device-claim': { kind: 'device-claim', bdf: 0x20, config: Uint8Array.of(0x34, 0x12), restarted: true, elapsedNs: 7 },
  'function-plug': { kind: 'function-plug', functions: [0x100, 0x101], elapsedNs: 100_000_000 },
  'function-unplug': { kind: 'function-unplug', functions: [0x100], drained: 1, aborted: 2, completed: 3, timedOut: 4, elapsedNs: 5 },
  'function-regions': {
    kind: 'function-regions',
    regions: [
      { region: 0, kind: 'memory64', prefetchable: true, address: 0x38_0000_0000n, bytes: 1n << 32n },
      { region: 6, kind: 'rom', prefetchable: false, address: 0n, bytes: undefined },
    ],
  },
  'irq-info': {
    kind: 'irq-info',
    irqs: [
      { index: 'intx', count: 1, granted: 1, enabled: false, maskable: true, pending: [0] },
      { index: 'msi', count: 32, granted: 4, enabled: false, maskable: false, pending: [] },
      { index: 'msix', count: 2048, granted: 2048, enabled: true, maskable: true, pending: [3, 2047] },
    ],
  },
  'model-interrupt': { kind: 'interrupt', outcome: 'pending', elapsedNs: Number.MAX_SAFE_INTEGER },
  'device-interrupt': { kind: 'interrupt', outcome: 'idle', elapsedNs: 1 },
  'group-info': {
    kind: 'group-info',
    group: {
      group: 3,
      members: [0x10, 0x11],
      domain: DOMAIN,
      defaultDomain: undefined,
      defaultType: 'dma-fq',
      recoveryCount: 1,
      owned: true,
      busy: true,
      waiting: 2,
    },
  },
  'call-hold': { kind: 'call-hold', hold: 3 },
  'calls-held': {
    kind: 'calls-held',
    calls: [{ id: 4, call: 'prepare', step: 'atc-sent', bdf: 16, hold: 3, sinceNs: 5 }],
  },
  'domain-alloc': { kind: 'domain-alloc', domain: 12 },
  'ioas-alloc': { kind: 'ioas-alloc', ioas: 6 },
  'ioas-map': { kind: 'mapped', iova: 0x1000n, elapsedNs: 0 },
  'ioas-copy': { kind: 'mapped', iova: 0x2000n, elapsedNs: 1 },
  'ioas-unmap': { kind: 'unmap', bytes: 8192n, timedOut: 1, elapsedNs: 2 },
  'ioas-ranges': { kind: 'ioas-ranges', ranges: [{ first: 0x1000n, last: 2n ** 64n - 1n }], count: 2, alignment: 4096n },
  'domain-invalidate': { kind: 'domain-invalidate', processed: 2, error: 'EINVAL', message: 'request 2', timedOut: 1, elapsedNs: 4 },
  map: { kind: 'mapped', iova: 0xffff_f000n, elapsedNs: 3 },
  unmap: { kind: 'unmap', bytes: 0x1_0000_0000_0000n, timedOut: 1, elapsedNs: 1_000_000_000 },
  'unmapped-ranges': { kind: 'unmapped-ranges', ranges: [{ first: 0x1000n, last: 0x1fffn }], next: 0x3000n },
  'iova-to-phys': { kind: 'iova-to-phys', mapped: true, address: 0xff_ffff_ffff_f000n },
  'dirty-tracking-set': { kind: 'dirty-tracking-set', timedOut: 2, elapsedNs: 3 },
  'dirty-read': { kind: 'dirty-read', data: Uint8Array.of(0x81), timedOut: 1, elapsedNs: 2 },
  'memory-alloc': { kind: 'memory-alloc', address: 0x10_0000n, bytes: 8192n },
  'memory-read': { kind: 'memory-read', data: Uint8Array.of(1, 2, 3) },
  'memory-dirty': { kind: 'memory-dirty', logging: true },
  'dirty-log-read': { kind: 'memory-read', data: Uint8Array.of(0x82) },
  'reset-prepare': { kind: 'reset-prepare', ...REPORT, elapsedNs: 5 },
  'reset-done': { kind: 'reset-done', depth: 0, skipped: true, warning: 'unbalanced', elapsedNs: 6 },
  reset: {
    kind: 'reset',
    method: 'pm',
    tried: [
      { method: 'flr', error: 'ENOTTY' },
      { method: 'pm', error: undefined },
    ],
    pendingTimedOut: true,
    warning: 'late',
    ...REPORT,
    elapsedNs: 7,
  },
  'reset-probe': { kind: 'reset-methods', methods: ['flr', 'bus'], warning: 'seen', elapsedNs: 8 },
  'reset-methods-set': { kind: 'reset-methods', methods: [], warning: 'disabled', elapsedNs: 9 },
  'bus-reset': { kind: 'bus-reset', functions: [16 as never, 24 as never], warning: 'w', ...REPORT, elapsedNs: 10 },
  'dma-read': { ...DMA, data: Uint8Array.of(9, 8) },
  'dma-write': { ...DMA, outcome: 'performed', failedIova: undefined },
  'dma-atomic': { ...DMA, data: Uint8Array.of(9, 8) },
  'device-translate': { ...DMA, grants: [{ address: 0x2000n, bytes: 4096, access: 3, snooped: true }] },
  'model-dma': { ...DMA, grants: [{ address: 0x2000n, bytes: 4096, access: 3, snooped: true }] },
  ledger: {
    kind: 'ledger',
    entries: [
      {
        request: 1,
        operation: 'invalidation-completion',
        point: 'indeterminate',
        held: true,
        iova: 0x1000n,
        address: undefined,
        bytes: 64,
        sinceNs: 3,
        epoch: 2,
        waitsFor: 'its owner',
      },
    ],
  },
  'fault-records': {
    kind: 'fault-records',
    records: [
      {
        number: 1,
        timeNs: 2,
        bdf: 0x10,
        pasid: -1,
        iova: 0xffff_ffff_ffff_f000n,
        access: 2,
        cause: 'not-canonical',
        stage: 2,
        privileged: true,
        execute: true,
        text: '00:02.0 write 0xfffffffffffff000: not canonical',
      },
    ],
    overflow: 4,
  },
  'error-recover': {
    kind: 'error-recover',
    recovered: true,
    status: 'recovered',
    reset: 'bus',
    affected: [16],
    warning: 'late',
    elapsedNs: 3,
  },
  'fault-arm': { kind: 'fault-armed', armed: 9, elapsedNs: 1 },
  'fault-list': {
    kind: 'fault-list',
    faults: [
      {
        armed: 9,
        fault: 'memory-errors',
        bdf: 16,
        range: { address: 0xff_ffff_f000n, bytes: 4096n },
        error: 'poisoned',
        passes: 1,
        acted: 2,
        left: 3,
        point: 'translated',
        delayNs: 4,
        fromNs: 5,
        untilNs: 6,
        inForce: true,
        hosts: true,
        text: 'memory errs',
      },
    ],
  },
  'model-page-request': { kind: 'page-request', answer: 'not-sent', group: 511, elapsedNs: 8 },
  'page-request': { kind: 'page-request', answer: 'forgotten', group: 3, elapsedNs: 9 },
  'page-faults': { kind: 'page-faults', faults: [PAGE_FAULT] },
  'clock-info': { kind: 'clock', nowNs: 11, movedNs: 0 },
  'clock-advance': { kind: 'clock', nowNs: 22, movedNs: 11 },
  'clock-hold': { kind: 'clock', nowNs: 11, movedNs: 0 },
  'clock-grant': { kind: 'clock', nowNs: 22, movedNs: 11 },
  'clock-release': { kind: 'clock', nowNs: 11, movedNs: 0 },
  'trace-hash': { kind: 'trace-hash', hash: '0123456789abcdef' },
} as const satisfies Partial<Replies>;

export function replyTo(command: Command): Reply {
  const reply = (REPLIES as Partial<Replies>)[command.kind];
  return (reply ?? { kind: 'ok', elapsedNs: 1 }) as Reply;
}

/** What a machine throws for a malformed command. */
export function malformed(field: string): never {
  throw new ModelError('EINVAL', `${field} cannot be`, field);
}
