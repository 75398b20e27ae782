// long: the machine's inputs, and the one loop that all of them run
import { ModelError, TIME_NS_MAX, assert, type Trace } from '../base/index.ts';
import { createModel } from '../devices/index.ts';
import { ring } from './alarms.ts';
import { assemble } from './assemble.ts';
import { handleInvalidation } from './ats/invalidation.ts';
import { settlePageRequests } from './ats/page-faults.ts';
import { takeLocked } from './calls/mutex.ts';
import { partAnswered, resume } from './calls/resume.ts';
import type { Command } from './command.ts';
import { endDma } from './dma/dma-task.ts';
import { NEW_BUFFERS, type ReadBuffers } from './dma/read-buffers.ts';
import { logErrors } from './errors/bus-errors.ts';
import { passEdge } from './faults/fault-commands.ts';
import { handle } from './handlers.ts';
import { hashCommand, hashOutgoing } from './hash-inputs.ts';
import { takeLeaving } from './hierarchy/leave.ts';
import { followPorts } from './hierarchy/port-changes.ts';
import { inspect, type Inspection } from './inspect.ts';
import type { Absent, MachinePort, PeerRoles, Unserved } from './machine-port.ts';
import type { Outgoing, PeerAnswer, PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import { peerGone, peerSilent, settleOwed } from './peer-answers.ts';
import type { Peer } from './peers.ts';
import { absentMemory } from './remote/absent-memory.ts';
import { tellOwnConfigs } from './remote/own-config.ts';
import type { HeldCall } from './reply.ts';
import { takeWaitingReset } from './reset/reset-locks.ts';
import { startWaitingReset } from './reset/reset.ts';
import { loadState, saveSpec, saveState, specOfSnapshot, type MachineSnapshot } from './snapshot.ts';
import { fixesOf, type FunctionReader, type MachineSpec } from './spec.ts';
import type { Origin } from './state.ts';
import { TraceHash } from './trace-hash.ts';

/** Alarms that one step may ring besides those that were set when it began: a bound on a machine that would never come to rest. */
const ALARMS_PER_STEP_MAX = 1_000_000;

export interface MachineOptions {
  /** Where what a device role reads comes in bytes from; it may get them back when the reply has been sent. */
  readonly readBuffers?: ReadBuffers;
  /** Reads the functions that hosts plug in; absent: they cannot. */
  readonly readFunctions?: FunctionReader;
  /** False: commands and the outbox are not summed, and {@link Machine.traceHash} says nothing. For programs that tell machines by the million. */
  readonly hashed?: boolean;
  /** What makes the models of its functions; absent: the catalogue does. */
  readonly models?: typeof createModel;
}

/**
 * One machine. `submit`, `answer` and the peers' comings and goings are its inputs; each runs to completion and leaves replies, events and
 * calls to peers in the outbox. Same spec and inputs, same outbox and same trace hash.
 */
export class Machine implements MachinePort {
  readonly spec: MachineSpec;
  readonly #m: Parts;
  readonly #hash = new TraceHash();
  readonly #hashed: boolean;
  /** While an observer's query is answered: it is no input, and its reply no output. */
  #unhashed: boolean;

  /** EINVAL names what in the spec cannot be. */
  constructor(spec: MachineSpec, { readBuffers = NEW_BUFFERS, readFunctions, hashed = true, models = createModel }: MachineOptions = {}) {
    this.spec = spec;
    this.#hashed = hashed;
    this.#unhashed = !hashed;
    this.#hash.addValue({ seed: spec.seed, behaviour: spec.behaviour, fixes: [...fixesOf(spec)], clock: spec.clock });
    this.#m = assemble(spec, this.#hash, { readBuffers, readFunctions, models }, (item) => {
      if (!this.#unhashed) hashOutgoing(this.#hash, item, item.type === 'event' ? 0 : this.#ordinal(item.to));
    });
  }

  /**
   * The machine of a snapshot goes on where that one stood. Peers are not there any more: what follows from that is in the outbox.
   * `name`: absent, as it was. `keepPeers`: they are still there, for whoever plays them as they went on. Throws EINVAL for a snapshot that fits no machine, and
   * what the constructor throws.
   */
  static restore(
    snapshot: MachineSnapshot,
    { name, keepPeers = false, ...options }: MachineOptions & { readonly name?: string; readonly keepPeers?: boolean } = {},
  ): Machine {
    const machine = ofSnapshot(() => {
      const saved = specOfSnapshot(snapshot);
      const made = new Machine(name === undefined ? saved : { ...saved, name }, options);
      loadState(made.#m, snapshot.state);
      return made;
    });
    if (!keepPeers) for (const { id } of machine.#m.peers.all()) machine.peerDetach(id);
    return machine;
  }

  /** The machine as it is now, between two inputs; its buffers are the machine's until the next. What is in the outbox is not in it. */
  save(): MachineSnapshot {
    return saveState(this.#m);
  }

  /** What it was made from, as a snapshot has it. */
  saveSpec(): MachineSnapshot['spec'] {
    return saveSpec(this.spec);
  }

  get trace(): Trace {
    return this.#m.trace;
  }
  /** How many it has now. */
  get functions(): number {
    return this.#m.functionList.length;
  }
  get nowNs(): number {
    return this.#m.clock.nowNs;
  }
  get traceHash(): string {
    return this.#hash.digest();
  }
  /** What loading the functions had to say, each naming function and offset. */
  get warnings(): readonly string[] {
    return this.#m.functionList.flatMap((fn) => fn.config.warnings);
  }

  /** What its functions and groups are in now, for the embedding program: no input, so not in the trace hash. */
  inspect(): Inspection {
    return inspect(this.#m);
  }

  /** The calls that stand before a step, in the order in which they were stopped. */
  stopped(): readonly HeldCall[] {
    return [...this.#m.stoppedCalls.values()];
  }

  /** The call of this number where it stands before a step. */
  stoppedCall(id: number): HeldCall | undefined {
    return this.#m.stoppedCalls.get(id);
  }

  peerAttach(roles: PeerRoles): PeerId {
    const peer = this.#m.peers.attach(roles);
    if (peer.ordinal !== 0) {
      this.#hash.addText('attach');
      this.#hash.addValue(roles);
    }
    return peer.id;
  }

  peerDetach(id: PeerId): void {
    const peer = this.#m.peers.get(id);
    if (peer === undefined) return;
    this.#hashPeer('detach', peer);
    peerGone(this.#m, peer);
    this.#run();
  }

  absent(): readonly Absent[] {
    const functions = this.#m.functionList.flatMap(({ bdf, absentOf }) => (absentOf === 0 ? [] : [{ bdf, peer: absentOf }]));
    return [...functions, ...absentMemory(this.#m).map(({ address, owner }) => ({ address, peer: owner }))];
  }

  peerTimeout(id: PeerId): void {
    const peer = this.#m.peers.get(id);
    if (peer === undefined || peer.silent) return;
    this.#hashPeer('timeout', peer);
    peerSilent(this.#m, peer);
    this.#run();
  }

  submit(peer: PeerId, token: number, command: Command): void {
    const ordinal = this.#ordinal(peer);
    this.#unhashed = !this.#hashed || command.kind === 'trace-hash' || (peer !== 0 && ordinal === 0);
    if (!this.#unhashed) {
      this.#hash.addInt(ordinal);
      hashCommand(this.#hash, command);
    }
    try {
      this.#dispatch({ peer, token, sinceNs: this.#m.clock.nowNs }, command, peer);
      this.#run();
    } finally {
      this.#unhashed = !this.#hashed;
    }
  }

  answer(peer: PeerId, token: number, answer: PeerAnswer): string | undefined {
    const settled = this.#m.peers.settle(peer, token, answer);
    this.#hashPeer('answer', settled.peer);
    this.#hash.addInt(token);
    this.#hash.addValue(answer);
    settleOwed(this.#m, settled.peer, settled.owed, settled.answer);
    this.#run();
    return settled.wrong;
  }

  takeOutbox(): readonly Outgoing[] {
    return this.#m.outbox.take();
  }

  nextAlarmNs(): number | undefined {
    if (this.spec.clock !== 'real') return undefined;
    const next = Math.min(this.#m.clock.nextNs() ?? Infinity, this.#m.injected.edges[0]?.atNs ?? Infinity);
    return next === Infinity ? undefined : next - this.#m.clock.nowNs;
  }

  passRealTime(nowNs: number): void {
    if (this.spec.clock !== 'real') return;
    this.#hash.addText('time');
    this.#hash.addNumber(nowNs);
    this.#ringUntil(Math.min(nowNs, TIME_NS_MAX));
    this.#m.clock.moveTo(nowNs);
    this.#run();
  }

  owedBy(id: PeerId): number {
    return this.#m.peers.get(id)?.owed.size ?? 0;
  }

  unserved(id: PeerId): Unserved | undefined {
    return this.#m.peers.get(id);
  }

  /** 0 for the embedding program, and for a peer that is gone. */
  #ordinal(id: PeerId): number {
    return id === 0 ? 0 : (this.#m.peers.get(id)?.ordinal ?? 0);
  }

  #hashPeer(what: string, { ordinal }: Peer): void {
    if (ordinal === 0) return;
    this.#hash.addText(what);
    this.#hash.addInt(ordinal);
  }

  #dispatch(origin: Origin, command: Command, peer: PeerId): void {
    handle(this.#m, origin, command, peer);
  }

  /** Everything that can go on goes on, and the clock passes when nothing else can. */
  #run(): void {
    const m = this.#m;
    this.#settle();
    const rungMax = ALARMS_PER_STEP_MAX + m.clock.size;
    for (let rung = 0; ; rung++) {
      const target = this.#mayPassUntil();
      if (target === undefined) return;
      assert(rung < rungMax, `more than ${rungMax} alarms in one step`);
      if (this.#passesEdge(target)) {
        this.#settle();
        continue;
      }
      const alarm = m.clock.take(target);
      if (alarm === undefined) {
        this.#endAdvance(target);
      } else {
        ring(m, alarm);
      }
      this.#settle();
    }
  }

  /** A fault on purpose comes into force, or ends, before anything else happens. It is no alarm: the clock does not run for it. */
  #passesEdge(untilNs: number): boolean {
    const { clock, injected } = this.#m;
    const [edge] = injected.edges;
    if (edge === undefined || edge.atNs > untilNs || edge.atNs > (clock.nextNs() ?? Infinity)) return false;
    clock.moveTo(edge.atNs);
    passEdge(this.#m);
    return true;
  }

  /**
   * How far the clock may pass now: to the next alarm (`auto`), or to the target of an advance, but not beyond what those who hold it have granted;
   * undefined: not at all.
   */
  #mayPassUntil(): number | undefined {
    const m = this.#m;
    const { advances } = m.operations;
    const next = this.spec.clock === 'auto' ? m.clock.nextNs() : undefined;
    if (advances.size === 0 && next === undefined) return undefined;
    const { nowNs } = m.clock;
    const { owing } = m.peers;
    const limitNs = owing ? -1 : m.peers.clockLimitNs;
    let target: number | undefined;
    for (const { targetNs, force } of advances) {
      const until = force ? targetNs : Math.min(targetNs, limitNs);
      // One that is stopped short of its target, and is there already, moves nothing.
      if (until < targetNs && until <= nowNs) continue;
      if (target === undefined || until < target) target = until;
    }
    return target ?? (next !== undefined && next <= limitNs ? next : undefined);
  }

  /** The clock has come to this target: every advance that wanted no more is answered. */
  #endAdvance(targetNs: number): void {
    const m = this.#m;
    m.clock.moveTo(targetNs);
    const { nowNs } = m.clock;
    for (const task of m.operations.advances) {
      if (task.targetNs > nowNs) continue;
      m.operations.end(task);
      m.outbox.reply(task.origin, { kind: 'clock', nowNs, movedNs: m.outbox.elapsed(task.origin) });
    }
  }

  #ringUntil(untilNs: number): void {
    for (;;) {
      if (!this.#passesEdge(untilNs)) {
        const alarm = this.#m.clock.take(untilNs);
        if (alarm === undefined) return;
        ring(this.#m, alarm);
      }
      this.#settle();
    }
  }

  #settle(): void {
    const m = this.#m;
    for (let busy = true; busy;) {
      busy = false;
      for (const effect of m.invalidations.takeEffects()) {
        busy = true;
        handleInvalidation(m, effect);
      }
      if (logErrors(m)) busy = true;
      if (m.changedPorts.size > 0) {
        busy = true;
        followPorts(m);
      }
      if (m.ownConfigs.size > 0) tellOwnConfigs(m);
      if (settlePageRequests(m)) busy = true;
      for (const task of m.operations.takeReadyDma()) {
        busy = true;
        endDma(m, task);
      }
      for (const operation of m.operations.takeReady()) {
        busy = true;
        resume(m, operation);
      }
      for (const { origin, reply } of m.outbox.takeInner()) {
        busy = true;
        partAnswered(m, origin, reply);
      }
      const locked = takeLocked(m.operations);
      if (locked !== undefined) {
        busy = true;
        resume(m, locked);
      }
      const leaving = m.leaving.size === 0 ? undefined : takeLeaving(m);
      if (leaving !== undefined) {
        busy = true;
        resume(m, leaving);
      }
      const waiting = takeWaitingReset(m);
      if (waiting !== undefined) {
        busy = true;
        startWaitingReset(m, waiting);
      }
    }
  }
}

/** Whatever is wrong with a snapshot is wrong with what was given, and no bug of ours. */
function ofSnapshot(make: () => Machine): Machine {
  try {
    return make();
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(
      'EINVAL',
      `the snapshot describes no machine: ${error instanceof Error ? error.message : String(error)}`,
      'snapshot',
    );
  }
}
