// long: one machine and all that a test does with it
/**
 * A machine with nothing round it, for tests that look at core itself: commands in, replies and events out, in one step.
 * Constants are restated here, so that a wrong one in the product shows.
 */
import { expect } from 'vitest';
import { NO_PASID, bdf, high32, low32, pasid, type Bdf, type TraceKind, type TraceRecord } from '../../server/src/core/base/index.ts';
import {
  Machine,
  type Behaviour,
  type Fix,
  type ClockMode,
  type Command,
  type FunctionDetail,
  type FunctionSpec,
  type GroupDetail,
  type MachineEvent,
  type MachineOptions,
  type MachineSpec,
  type Outgoing,
  type PeerAnswer,
  type PeerCall,
  type Reply,
} from '../../server/src/core/machine/index.ts';
import { PROBE_BAR_BYTES, bridgeConfig, dmaProbeConfig, remoteConfig, type ProbeSpec } from '../../server/src/core/pci/index.ts';
import { pageRequestCommand, type PageFields } from './page-requests.ts';

export const MS = 1_000_000;
export const PROBE = bdf(0, 0, 2, 0);
/** Two functions of one device without ACS: one group. */
export const FIRST = bdf(0, 0, 5, 0);
export const SECOND = bdf(0, 0, 5, 1);
export const REMOTE = bdf(0, 0, 4, 0);
export const READ_WRITE = 3;
export const INVALIDATION_TIMEOUT_MS = 1000;
export const RAM = 0x10_0000n;

export interface Options extends Partial<Omit<NonNullable<MachineSpec['iommu']>, 'invalidationTimeoutNs'>> {
  readonly behaviour?: Behaviour;
  readonly withoutFixes?: readonly Fix[];
  readonly clock?: ClockMode;
  readonly iommu?: boolean;
  readonly ecam?: MachineSpec['ecam'];
  readonly functions?: readonly FunctionSpec[];
  /** Of {@link RAM}; absent: 1 MiB. */
  readonly ramBytes?: bigint;
}

export function probe(at: Bdf, options: Partial<ProbeSpec> & { latencyNs?: number } = {}): FunctionSpec {
  const { latencyNs = 0, ...config } = { integrated: true, ...options };
  return { bdf: at, model: 'dma-probe', config: dmaProbeConfig(config), barBytes: PROBE_BAR_BYTES, label: '', latencyNs };
}
export function remote(at: Bdf): FunctionSpec {
  return { bdf: at, model: 'remote', config: remoteConfig({ integrated: true }), barBytes: PROBE_BAR_BYTES, label: '', latencyNs: 0 };
}
/** A root port at 00:1c.0 with buses 1 to 2 below it. `acs` false: what is below shares its group. */
export const PORT = bdf(0, 0, 0x1c, 0);
export const BELOW = bdf(0, 1, 0, 0);
export function port(options: { acs?: boolean } = {}): FunctionSpec {
  const config = bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 2, ...options });
  return { bdf: PORT, model: 'bridge', config, label: '', latencyNs: 0 };
}
export const SIBLINGS: readonly FunctionSpec[] = [probe(FIRST, { multiFunction: true }), probe(SECOND, { multiFunction: true })];

export function specOf(options: Options = {}): MachineSpec {
  const spec = {
    name: 'test',
    seed: 7,
    clock: options.clock ?? 'auto',
    behaviour: options.behaviour ?? 'strict',
    ...(options.ecam === undefined ? {} : { ecam: options.ecam }),
    ...(options.withoutFixes === undefined ? {} : { withoutFixes: options.withoutFixes }),
    memory: [{ address: RAM, bytes: options.ramBytes ?? 0x10_0000n }],
    functions: options.functions ?? [probe(PROBE)],
  } as const;
  return options.iommu === false ? spec : { ...spec, iommu: { invalidationTimeoutNs: INVALIDATION_TIMEOUT_MS * MS, ...iommuOf(options) } };
}

const OF_THE_IOMMU = ['pageRequestQueue', 'dmaFlush', 'blockedDomain', 'isolation', 'defaultDomain', 'interrupts'] as const;

function iommuOf(options: Options): Partial<NonNullable<MachineSpec['iommu']>> {
  return Object.fromEntries(OF_THE_IOMMU.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]));
}

/** A call that was submitted; `reply` is there when the machine has given it. */
export interface Pending {
  readonly reply: Reply | undefined;
}

type ReplyOfKind<K extends Reply['kind']> = Extract<Reply, { kind: K }>;

/** The peer that a test plays, and what the machine has asked of it. */
export interface TestPeer {
  readonly id: number;
  readonly calls: { readonly token: number; readonly call: PeerCall }[];
}

export class CoreMachine {
  readonly machine: Machine;
  readonly events: MachineEvent[] = [];
  readonly trace: TraceRecord[] = [];
  readonly #replies = new Map<number, Reply>();
  readonly #peers = new Map<number, TestPeer>();
  #token = 0;

  constructor(options: Options = {}, machineOptions: MachineOptions = {}) {
    this.machine = new Machine(specOf(options), machineOptions);
    this.machine.trace.listen((record) => this.trace.push(record));
  }

  start(command: Command, peer = 0): Pending {
    const token = ++this.#token;
    this.machine.submit(peer, token, command);
    this.#collect();
    const replies = this.#replies;
    return {
      get reply() {
        return replies.get(token);
      },
    };
  }

  /** The reply, which must be there and no refusal. */
  call<K extends Reply['kind']>(kind: K, command: Command, peer = 0): ReplyOfKind<K> {
    const { reply } = this.start(command, peer);
    // Most tests' time would go into this one assertion.
    if (reply?.kind !== kind) expect(reply, `${command.kind} is answered in its own step`).toMatchObject({ kind });
    return reply as ReplyOfKind<K>;
  }

  /** The code of the refusal that the command must get. */
  refusal(command: Command): string {
    return this.call('refused', command).code;
  }

  attachPeer(roles: Partial<Record<'host' | 'device' | 'memory' | 'observer', boolean>>): TestPeer {
    const id = this.machine.peerAttach({ host: false, device: false, memory: false, observer: false, ...roles });
    const peer: TestPeer = { id, calls: [] };
    this.#peers.set(id, peer);
    return peer;
  }
  answer(peer: TestPeer, token: number, answer: PeerAnswer): void {
    this.machine.answer(peer.id, token, answer);
    this.#collect();
  }
  detachPeer(peer: TestPeer): void {
    this.machine.peerDetach(peer.id);
    this.#collect();
  }
  silence(peer: TestPeer): void {
    this.machine.peerTimeout(peer.id);
    this.#collect();
  }

  advance(ms: number, force = false): void {
    this.start({ kind: 'clock-advance', ns: ms * MS, force });
  }

  allocPage(): bigint {
    return this.call('memory-alloc', { kind: 'memory-alloc', bytes: 4096n }).address;
  }
  allocDomain(type: 'paging' | 'identity' | 'blocked' = 'paging'): number {
    return this.call('domain-alloc', { kind: 'domain-alloc', type, sharedAddress: false }).domain;
  }
  /** A domain whose page requests become page faults. */
  allocFaultDomain(): number {
    return this.call('domain-alloc', { kind: 'domain-alloc', type: 'paging', sharedAddress: false, faults: true }).domain;
  }
  requestPages(at: Bdf, fields: PageFields = {}, kind: 'model-page-request' | 'page-request' = 'model-page-request', peer = 0): Pending {
    return this.start(pageRequestCommand(at, fields, kind), peer);
  }
  respond(fault: number, answer: 'success' | 'invalid' | 'failure'): Pending {
    return this.start({ kind: 'page-response', fault, answer });
  }
  /** Page faults that hosts were told of. */
  pageFaults(): readonly Extract<MachineEvent, { kind: 'page-fault' }>[] {
    return this.events.filter((event) => event.kind === 'page-fault');
  }
  /** Maps one page into the function's current domain, or into a domain by number. */
  map(target: Bdf | { readonly domain: number }, iova: number, address: bigint): void {
    this.call('ok', this.mapCommand(target, iova, address));
  }
  mapCommand(target: Bdf | { readonly domain: number }, iova: number, address: bigint): Command {
    return { kind: 'map', target: targetOf(target), iova: BigInt(iova), address, bytes: 4096n, access: READ_WRITE };
  }
  startUnmap(target: Bdf | { readonly domain: number }, iova: number): Pending {
    return this.start({ kind: 'unmap', target: targetOf(target), iova: BigInt(iova), bytes: 4096n });
  }

  write(at: Bdf, iova: number, text: string, fields: DmaFields = {}): Pending {
    return this.start(writeCommand(at, iova, text, fields));
  }
  /** How the write ended, in its own step. */
  outcome(at: Bdf, iova: number, text = 'x', fields: DmaFields = {}): string {
    return this.call('dma', writeCommand(at, iova, text, fields)).outcome;
  }
  release(at: Bdf, request = 0): void {
    this.call('ok', { kind: 'dma-release', bdf: at, request });
  }
  text(address: bigint, bytes: number): string {
    return new TextDecoder().decode(this.call('memory-read', { kind: 'memory-read', address, bytes }).data);
  }

  startPrepare(at: Bdf, token = 'w', fields: { deadlineMs?: number; onDeadline?: 'abort' | 'fail' } = {}): Pending {
    const { deadlineMs = 10, onDeadline = 'abort' } = fields;
    return this.start({ kind: 'reset-prepare', bdf: at, token, deadlineNs: deadlineMs * MS, onDeadline });
  }
  prepare(at: Bdf, token = 'w'): ReplyOfKind<'reset-prepare'> {
    const { reply } = this.startPrepare(at, token);
    expect(reply).toMatchObject({ kind: 'reset-prepare' });
    return reply as ReplyOfKind<'reset-prepare'>;
  }
  done(at: Bdf, token = 'w'): ReplyOfKind<'reset-done'> {
    return this.call('reset-done', { kind: 'reset-done', bdf: at, token, all: false });
  }
  reset(at: Bdf, window = true): Pending {
    return this.start({ kind: 'reset', bdf: at, method: 'flr', window, deadlineNs: 10 * MS, onDeadline: 'abort' });
  }
  plug(functions: readonly FunctionSpec[], into?: Bdf): Pending {
    return this.start({ kind: 'function-plug', port: into, functions });
  }
  unplug(at: Bdf, fields: { surprise?: boolean; deadlineMs?: number } = {}): Pending {
    const { surprise = false, deadlineMs = 0 } = fields;
    return this.start({ kind: 'function-unplug', bdf: at, surprise, deadlineNs: deadlineMs * MS });
  }
  /** Vendor ID as configuration space answers it. */
  vendor(at: Bdf): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset: 0, bytes: 2 }).valueLow;
  }
  arm(
    at: Bdf,
    fault: Extract<Command, { kind: 'fault-arm' }>['fault'],
    fields: { first?: number; count?: number; delayMs?: number } = {},
  ): void {
    const { first = 1, count = 1, delayMs = 0 } = fields;
    this.call('fault-armed', {
      kind: 'fault-arm',
      bdf: at,
      fault,
      first,
      count,
      point: fault === 'hold' ? 'issued' : undefined,
      delayNs: delayMs * MS,
    });
  }

  attach(at: Bdf, domain: number): Command {
    return { kind: 'domain-attach', bdf: at, domain };
  }
  attachPasid(at: Bdf, number: number, domain: number, replace = false): Command {
    return { kind: 'pasid-attach', bdf: at, pasid: pasid(number), domain, replace };
  }
  detachPasid(at: Bdf, number: number): Command {
    return { kind: 'pasid-detach', bdf: at, pasid: pasid(number) };
  }

  info(at: Bdf): FunctionDetail {
    return this.call('function-info', { kind: 'function-info', bdf: at }).function;
  }
  group(at: Bdf): GroupDetail {
    return this.call('group-info', { kind: 'group-info', bdf: at }).group;
  }
  traced(kind: TraceKind, at?: Bdf): readonly TraceRecord[] {
    return this.trace.filter((record) => record.kind === kind && (at === undefined || record.a === at));
  }
  logs(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'log' && event.level === 'warn' ? [event.text] : []));
  }
  hash(): string {
    return this.call('trace-hash', { kind: 'trace-hash' }).hash;
  }

  #collect(): void {
    for (const item of this.machine.takeOutbox()) this.#take(item);
  }
  #take(item: Outgoing): void {
    if (item.type === 'reply') {
      if (this.#replies.has(item.token)) expect.fail(`more than one reply for call ${item.token}`);
      this.#replies.set(item.token, item.reply);
    } else if (item.type === 'event') {
      this.events.push(item.event);
    } else {
      this.#peers.get(item.to)?.calls.push({ token: item.token, call: item.call });
    }
  }
}

export type DmaFields = Partial<Omit<Extract<Command, { kind: 'model-dma' }>, 'kind' | 'bdf' | 'pasid'>> & { readonly pasid?: number };

export function writeCommand(at: Bdf, iova: number | bigint, text: string, fields: DmaFields = {}): Command {
  const data = new TextEncoder().encode(text);
  const address = BigInt(iova);
  return {
    kind: 'model-dma',
    bdf: at,
    operation: 'write',
    bytes: data.byteLength,
    data,
    iovaLow: low32(address),
    iovaHigh: high32(address),
    translated: false,
    hold: undefined,
    holdNs: 0,
    ...fields,
    pasid: fields.pasid === undefined ? NO_PASID : pasid(fields.pasid),
  };
}

function targetOf(target: Bdf | { readonly domain: number }): Extract<Command, { kind: 'map' }>['target'] {
  return typeof target === 'number' ? { bdf: target, pasid: NO_PASID } : target;
}
