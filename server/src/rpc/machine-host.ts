// long: every input and every output of a machine passes here
import { CLOSE, type CloseCode, type PacketReader } from '../../../proto/index.ts';
import { PEER_GRACE_MS, SESSIONS_MAX } from '../../../proto/limits.ts';
import { ModelError } from '../core/base/index.ts';
import { graceOver } from '../core/machine/index.ts';
import type { Command, MachineEvent, MachinePort, Outgoing, PeerAnswer, PeerId, PeerRoles, Reply } from '../core/machine/index.ts';
import { Absences } from './absences.ts';
import { Buffers } from './buffers.ts';
import { rpcCounters, type RpcCounters, type RpcLog } from './counters.ts';
import type { Authorize, Welcome } from './hello.ts';
import { OwnCalls, type OwnCall } from './own-calls.ts';
import { RealClock } from './real-clock.ts';
import type { RecordingSink } from './recording/recorder.ts';
import type { RecordedMachine } from './recording/recording-start.ts';
import { Recordings, type RunningRecording } from './recording/recordings.ts';
import { ofSession, sessionRecordTo, sessionRecords } from './recording/session-records.ts';
import type { SessionHost } from './session-host.ts';
import type { SessionStatus } from './session-status.ts';
import { Session } from './session.ts';
import { TraceTap, type TracedMachine } from './trace-tap.ts';
import type { Wire } from './wire.ts';

export interface HostOptions {
  /** Clock mode `real`: the host lets real time pass in the machine. */
  readonly realTime?: boolean;
  /** What its clock says when the host gets it; absent: 0. */
  readonly nowNs?: number;
  /** Wall clock, in which functions and memory whose peer has vanished may be claimed again. */
  readonly graceMs?: number;
  readonly welcome: Welcome;
  /** The machine has a past: what it was made from does not say what it is. */
  readonly restored?: boolean;
  /** For the log when the machine crashes. */
  readonly seed: number;
  readonly counters?: RpcCounters;
  /** Those that the machine takes for what it reads, if it does; a process has one. */
  readonly buffers?: Buffers;
  readonly log?: RpcLog;
  /** A peer is gone; so many are left. For whoever deletes what nobody uses. */
  readonly onGone?: (peers: number) => void;
  /** The machine met a bug of ours and is closed. */
  readonly onCrash?: (error: unknown) => void;
}

/** A machine; what it has besides the port can be traced and recorded. */
type HostedMachine = MachinePort & Partial<TracedMachine> & Partial<Omit<RecordedMachine, 'spec'>>;

/**
 * One machine and all who take part in it: its sessions, and the embedding program, which calls as peer 0 on the same way. After each input it
 * takes the outbox and hands everything on in order.
 */
export class MachineHost {
  readonly counters: RpcCounters;
  readonly #machine: HostedMachine;
  readonly #options: HostOptions;
  readonly #port: SessionHost;
  readonly #sessions = new Set<Session>();
  readonly #byPeer = new Map<PeerId, Session>();
  readonly #joined = new WeakMap<Session, () => void>();
  readonly #calls = new OwnCalls();
  readonly #trace: TraceTap;
  readonly #listeners = new Map<(event: MachineEvent) => void, (() => void) | undefined>();
  readonly #clock: RealClock | undefined;
  readonly #absences: Absences;
  readonly #recordings = new Recordings();
  #connections = 0;
  /** Sessions that have no room for events. */
  readonly #crowded = new WeakSet<Session>();
  /** Peers that have gone while the outbox was handed on. */
  readonly #leaving: (() => void)[] = [];
  /** It has had no input. */
  #isNew: boolean;
  #routing = false;
  #state: 'open' | 'draining' | 'closed' = 'open';
  /** Resolves the drain that waits for the last reply. */
  #drained: (() => void) | undefined;

  constructor(machine: HostedMachine, options: HostOptions) {
    this.#machine = machine;
    this.#options = options;
    this.#isNew = options.restored !== true;
    this.#trace = new TraceTap(machine.trace, this.#byPeer);
    this.counters = options.counters ?? rpcCounters();
    this.#clock = options.realTime === true ? new RealClock(machine, () => this.#alarm(), options.nowNs) : undefined;
    this.#port = {
      counters: this.counters,
      buffers: options.buffers ?? new Buffers(),
      welcome: options.welcome,
      traceable: machine.trace !== undefined,
      attach: (session, roles) => this.#attach(session, roles),
      submit: (session, frame, command) => this.#submit(session.peer, frame.id, command, frame),
      unserved: (session) => machine.unserved(session.peer),
      kept: (session, frame, error) => this.#kept(session.peer, frame, error),
      answer: (session, token, answer, frame) => this.#answer(session, token, answer, frame),
      mistake: (session, why, count) => {
        this.counters.peerMistakesTotal++;
        this.#log('warn', `${session.client} answered wrongly (${count}): ${why}`, session.peer);
      },
      room: (session, has) => this.#room(session, has),
      resumes: (session) => this.#resumes(session),
      record: sessionRecords(
        (of, what, isInput, allowed) => this.#recordings.each((recorder) => sessionRecordTo(recorder, of, what, isInput, allowed)),
        () => this.#recordings.active,
      ),
      silent: (session) => this.#silent(session),
      traceChanged: () => this.#trace.update(),
      gone: (session, reason) => this.#gone(session, reason),
      crash: (error) => this.#crash(error),
    };
    this.#absences = new Absences(machine, options.graceMs ?? PEER_GRACE_MS, (left) => {
      this.call(graceOver(left)).catch(() => undefined);
    });
    // A machine of a snapshot has alarms already, and nobody of those who played its functions.
    this.#clock?.arm();
    this.#absences.watch();
  }

  get state(): 'open' | 'draining' | 'closed' {
    return this.#state;
  }
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Those who take part. */
  status(): readonly SessionStatus[] {
    return Array.from(this.#byPeer.values(), (session) => session.status);
  }

  /** Takes a new connection. `authorize` is asked when its Hello has come, `joined` is told when it has been granted roles. */
  open(wire: Wire, authorize: Authorize, joined?: () => void): void {
    if (this.#state !== 'open' || this.#sessions.size >= SESSIONS_MAX) {
      wire.start({ message: () => undefined, closed: () => undefined });
      if (this.#state === 'open') wire.close(CLOSE.slow, `this machine has ${SESSIONS_MAX} connections already`);
      else wire.close(CLOSE.goingAway, 'this machine takes no new connections');
      return;
    }
    this.counters.sessions++;
    this.counters.sessionsTotal++;
    const session = new Session(this.#port, ++this.#connections, wire, authorize);
    this.#sessions.add(session);
    this.#recordings.each((recorder) => recorder.session(ofSession(session), { kind: 'opened' }));
    if (joined !== undefined) this.#joined.set(session, joined);
    session.start();
  }

  /**
   * A command of the embedding program. Resolves with its reply, `refused` included; rejects with {@link ModelError}: what the machine throws for a
   * malformed one, and ESHUTDOWN when it is stopping or gone.
   */
  call(command: Command): Promise<Reply> {
    return new Promise((resolve, reject) => {
      // A listener that calls while the outbox is handed on must not overtake the rest of it.
      if (this.#routing) queueMicrotask(() => this.#ownCall(command, { resolve, reject }));
      else this.#ownCall(command, { resolve, reject });
    });
  }

  /** Every event of the machine from now on; the returned function ends it. `closed` is called when the machine is. */
  listen(listener: (event: MachineEvent) => void, closed?: () => void): () => void {
    this.#listeners.set(listener, closed);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Everything that happens to the machine from now on goes to the sink, until it is stopped, the machine is closed, or the sink is too slow. Errors: EBUSY
   * for one too many, and while the outbox is handed on; EOPNOTSUPP where the machine cannot be recorded, ESHUTDOWN where it is closed.
   */
  record(sink: RecordingSink): RunningRecording {
    const machine = this.#machine;
    if (!isRecorded(machine)) throw new ModelError('EOPNOTSUPP', 'this machine cannot be recorded', 'machine');
    if (this.#state === 'closed') throw new ModelError('ESHUTDOWN', 'the machine is closed', 'machine');
    if (this.#routing) throw new ModelError('EBUSY', 'the machine is in the middle of an input', 'machine');
    const peers = Array.from(this.#byPeer.values(), (session) => session.recorded);
    return this.#recordings.start(machine, sink, { welcome: this.#options.welcome, isNew: this.#isNew, peers });
  }

  /**
   * Takes no new calls, tells all sessions, lets what is in flight end, and after `deadlineMs` (wall clock) answers the rest with ESHUTDOWN. Resolves
   * when everything is answered and the sessions are closed.
   */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'draining';
    this.#recordings.each((recorder) => recorder.stopping({ kind: 'draining', deadlineMs }));
    for (const session of this.#sessions) session.drain(deadlineMs);
    if (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(resolve, deadlineMs);
        this.#drained = () => {
          clearTimeout(deadline);
          resolve();
        };
      });
    }
    this.#recordings.each((recorder) => recorder.stopping({ kind: 'shut-down' }));
    for (const session of this.#sessions) session.shutDown();
    this.close(CLOSE.goingAway, 'the service is stopping');
  }

  /** Closes every session; calls of the embedding program that are in flight are rejected. */
  close(code: CloseCode = CLOSE.goingAway, reason = 'the machine was deleted'): void {
    this.#state = 'closed';
    for (const closed of this.#listeners.values()) closed?.();
    this.#clock?.stop();
    this.#absences.stop();
    for (const session of this.#sessions) session.close(code, reason, 'circumstance');
    this.#recordings.end(reason);
    this.#trace.stop();
    this.#calls.rejectAll(new ModelError('ESHUTDOWN', `${reason}; the outcome of this call is unknown`));
    this.#drained?.();
  }

  // ---- inputs of the machine -------------------------------------------------------------------------------------------

  /** The hot one. Throws {@link ModelError} for a malformed command. */
  #submit(peer: PeerId, token: number, command: Command, frame: PacketReader | undefined): void {
    const realNs = this.#clock?.pass();
    this.#isNew = false;
    if (this.#recordings.active) {
      this.#recordings.each((recorder) => {
        if (frame === undefined) recorder.command(token, command, realNs);
        else recorder.call(peer, frame, realNs);
      });
    }
    try {
      this.#machine.submit(peer, token, command);
    } catch (error) {
      if (!(error instanceof ModelError)) {
        this.#crash(error);
        return;
      }
      this.#route();
      if (this.#recordings.active) {
        this.#recordings.each((recorder) => {
          if (frame === undefined) recorder.refusedOwn(token, error);
          else recorder.refused(peer, token, error);
        });
      }
      this.#letLeave();
      throw error;
    }
    this.#route();
    this.#letLeave();
  }

  #kept(peer: PeerId, frame: PacketReader, error: ModelError | undefined): void {
    if (!this.#recordings.active) return;
    this.#recordings.each((recorder) => {
      recorder.call(peer, frame, undefined);
      if (error !== undefined) recorder.refused(peer, frame.id, error);
    });
  }

  #answer(session: Session, token: number, answer: PeerAnswer, frame: PacketReader): string | undefined {
    let wrong: string | undefined;
    this.#input((realNs) => {
      this.#recordings.each((recorder) => recorder.answer(session.peer, token, frame, realNs));
      wrong = this.#machine.answer(session.peer, token, answer);
    });
    return wrong;
  }

  #input(act: (realNs: number | undefined) => void): void {
    if (this.#state === 'closed') return;
    this.#isNew = false;
    try {
      act(this.#clock?.pass());
    } catch (error) {
      this.#crash(error);
      return;
    }
    this.#route();
    this.#letLeave();
  }

  /** An alarm may be due: time passing is all. */
  #alarm(): void {
    this.#input((realNs) => this.#recordings.each((recorder) => recorder.alarm(realNs)));
  }

  #ownCall(command: Command, call: OwnCall): void {
    if (this.#state !== 'open') {
      call.reject(new ModelError('ESHUTDOWN', 'this machine takes no new calls'));
      return;
    }
    const token = this.#calls.add(call);
    this.counters.callsTotal++;
    try {
      this.#submit(0, token, command, undefined);
    } catch (error) {
      this.#calls.reject(token, error);
    }
  }

  #attach(session: Session, roles: PeerRoles): PeerId {
    const peer = this.#machine.peerAttach(roles);
    this.#byPeer.set(peer, session);
    this.#isNew = false;
    if (this.#recordings.active) {
      const arrived = { id: peer, roles, client: session.client, calls: [], asked: [] };
      this.#recordings.each((recorder) => recorder.arrived(arrived, session.connection));
    }
    this.#joined.get(session)?.();
    this.#log('info', `${session.client} connected`, peer);
    return peer;
  }

  #silent(session: Session): void {
    this.counters.peerTimeoutsTotal++;
    this.#log(
      'warn',
      `${session.client} owes ${this.#machine.owedBy(session.peer)} answers for too long; the clock no longer waits for it`,
      session.peer,
    );
    this.#input((realNs) => {
      this.#recordings.each((recorder) => recorder.silent(session.peer, realNs));
      this.#machine.peerTimeout(session.peer);
    });
  }

  #gone(session: Session, reason: string): void {
    if (!this.#sessions.delete(session)) return;
    this.counters.sessions--;
    const { peer } = session;
    if (peer === 0) return;
    this.#byPeer.delete(peer);
    this.#log('info', `${session.client} is gone: ${reason}`, peer);
    this.#trace.update();
    const leave = (): void => {
      this.#input((realNs) => {
        this.#recordings.each((recorder) => recorder.gone(peer, reason, realNs));
        this.#machine.peerDetach(peer);
      });
      this.#absences.watch();
      this.#settleDrain();
      this.#options.onGone?.(this.#byPeer.size);
    };
    // An input in the middle of another would divide in two what came of that.
    if (this.#routing) this.#leaving.push(leave);
    else leave();
  }

  #resumes(session: Session): boolean {
    this.#crowded.delete(session);
    this.#recordings.each((recorder) => recorder.session(ofSession(session), { kind: 'room', room: true }));
    return true;
  }

  #room(session: Session, has: boolean): boolean {
    if (has !== this.#crowded.has(session)) return has;
    if (has) this.#crowded.delete(session);
    else this.#crowded.add(session);
    this.#recordings.each((recorder) => recorder.sessionOutput(ofSession(session), { kind: 'room', room: has }));
    return has;
  }

  // ---- what comes out --------------------------------------------------------------------------------------------------

  /** Hands on what has gathered, in order. */
  #route(): void {
    if (this.#routing) return;
    this.#routing = true;
    try {
      for (let items = this.#machine.takeOutbox(); items.length > 0; items = this.#machine.takeOutbox()) {
        for (const item of items) {
          if (this.#recordings.active) this.#recordings.each((recorder) => recorder.output(item));
          this.#handOn(item);
        }
      }
    } catch (error) {
      this.#crash(error);
    } finally {
      this.#routing = false;
    }
    if (this.#recordings.active) this.#recordings.each((recorder) => recorder.settle());
    this.#clock?.arm();
  }

  #letLeave(): void {
    for (let leave = this.#leaving.shift(); leave !== undefined; leave = this.#leaving.shift()) leave();
  }

  #handOn(item: Outgoing): void {
    if (item.type === 'reply') {
      if (item.to === 0) this.#calls.resolve(item.token, item.reply);
      else this.#byPeer.get(item.to)?.reply(item.token, item.reply);
      if (this.#drained !== undefined) this.#settleDrain();
    } else if (item.type === 'event') {
      this.#tell(item.event);
    } else {
      this.#byPeer.get(item.to)?.ask(item.token, item.call);
    }
  }

  #tell(event: MachineEvent): void {
    if (event.kind === 'fault') this.counters.faultsTotal++;
    else if (event.kind === 'window' && event.open) this.counters.resetsTotal++;
    for (const session of this.#byPeer.values()) session.event(event);
    for (const listener of this.#listeners.keys()) listener(event);
  }

  #isIdle(): boolean {
    return this.#calls.size === 0 && [...this.#sessions].every((session) => session.pendingCalls === 0);
  }

  #settleDrain(): void {
    if (this.#drained !== undefined && this.#isIdle()) this.#drained();
  }

  #crash(error: unknown): void {
    if (this.#state === 'closed') return;
    this.counters.crashesTotal++;
    const what = error instanceof Error ? error.message : String(error);
    this.#options.log?.({
      level: 'error',
      text: `the machine crashed on a bug: ${what}; seed ${this.#options.seed}`,
      machine: this.#options.welcome.machine,
      error,
    });
    this.#recordings.end('the machine crashed on a bug of the server', what);
    this.close(CLOSE.crashed, 'the machine crashed on a bug of the server');
    this.#options.onCrash?.(error);
  }

  #log(level: 'info' | 'warn', text: string, session: number): void {
    this.#options.log?.({ level, text, machine: this.#options.welcome.machine, session });
  }
}

function isRecorded(machine: HostedMachine): machine is MachinePort & RecordedMachine {
  return machine.save !== undefined && machine.saveSpec !== undefined && machine.inspect !== undefined;
}
