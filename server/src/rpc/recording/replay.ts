// long: every kind of record is played here
/** A recording run against this build, without the peers: each input as it came, and what comes of it held against what came then. */
import { BODY, KIND } from '../../../../proto/index.ts';
import { ModelError, type TraceSink } from '../../core/base/index.ts';
import {
  Machine,
  specOfSnapshot,
  type Command,
  type MachineOptions,
  type MachineSpec,
  type PeerAnswer,
  type PeerId,
  type PeerRoles,
} from '../../core/machine/index.ts';
import { commandOf } from '../command-of.ts';
import type { Welcome } from '../hello.ts';
import { peerAnswer } from '../peer-calls.ts';
import { OutputRecords } from './output-records.ts';
import { fromPlainText } from './plain-text.ts';
import type { Recording } from './read-recording.ts';
import { decodeBody, encodeRecord, type Record, type RecordedFrame } from './record.ts';
import { ReplayedSessions } from './replayed-sessions.ts';
import { firstField, shownRecord } from './shown-record.ts';

export interface Difference {
  /** Number of the input, from 1; 0: before the first. */
  readonly input: number;
  readonly timeNs: number;
  /** The input in words. */
  readonly of: string;
  readonly recorded: string;
  readonly came: string;
  /** Where two outputs of one kind differ first: `result.bytesDone: 5, and 4 came`. */
  readonly field: string | undefined;
}

export interface Replayed {
  readonly inputs: number;
  readonly outputs: number;
  readonly nowNs: number;
  /** Of the machine that was replayed. */
  readonly traceHash: string;
  /** The first; undefined: there is none. */
  readonly difference: Difference | undefined;
  /** The machine crashed at the last input, as it did when it was recorded: what the bug says. */
  readonly crash: string | undefined;
}

export interface ReplayOptions extends Pick<MachineOptions, 'readFunctions' | 'models'> {
  readonly productVersion: string;
  /** Gets the trace of the machine. */
  readonly trace?: TraceSink;
  /** Gets every record as it was recorded, before it is played. */
  readonly onRecord?: (record: Record) => void;
}

/** Throws {@link ModelError} EINVAL for a recording that cannot be played here. */
export function replay(recording: Recording, options: ReplayOptions): Replayed {
  const player = new Player(recording, options);
  try {
    for (const [input, ...outputs] of steps(recording.records())) {
      if (input !== undefined) {
        options.onRecord?.(input);
        player.play(input, outputs);
      }
      for (const record of outputs) {
        options.onRecord?.(record);
        player.recorded(record);
      }
      if (player.difference !== undefined) break;
    }
    return player.end();
  } finally {
    player.close();
  }
}

/** Each input with what came of it; what comes before the first is of none. */
function* steps(records: Iterable<Record>): Generator<[Record | undefined, ...Record[]]> {
  let step: [Record | undefined, ...Record[]] = [undefined];
  for (const record of records) {
    if (record.input === undefined) {
      step.push(record);
      continue;
    }
    yield step;
    step = [record];
  }
  yield step;
}

/** What the machine of a recording was made from. */
export function specOfRecording({ start }: Recording): MachineSpec {
  return specOfSnapshot(start);
}

class Player {
  readonly #recording: Recording;
  readonly #machine: Machine;
  readonly #outputs = new OutputRecords();
  readonly #roles = new Map<number, PeerRoles>();
  readonly #sessions: ReplayedSessions;
  readonly #sameVersion: boolean;
  /** What came of the last input and has not been compared. */
  #came: Record[] = [];
  #last: Record | undefined;
  #inputs = 0;
  /** Time of the last record that was played or came. */
  #atNs = 0;
  #compared = 0;
  #crash: string | undefined;
  difference: Difference | undefined;

  constructor(recording: Recording, { productVersion, readFunctions, models, trace }: ReplayOptions) {
    this.#recording = recording;
    const { start } = recording;
    const options = { ...(readFunctions === undefined ? {} : { readFunctions }), ...(models === undefined ? {} : { models }) };
    this.#machine = machineOf(start, productVersion, options);
    if (trace !== undefined) this.#machine.trace.listen(trace);
    this.#sameVersion = start.productVersion === productVersion;
    this.#sessions = new ReplayedSessions(
      {
        attach: (roles) => this.#attach(roles),
        submit: (peer, frame, command) => this.#submit(peer, frame.id, frame.number, () => command),
        kept: (peer, frame, error) => this.#kept(peer, frame, error),
        answer: (peer, token, answer) => this.#answered(peer, token, answer),
        came: (record) => this.#push({ ...record, timeNs: this.#atNs }),
      },
      this.#machine,
      start.welcome ?? NO_WELCOME,
    );
    for (const peer of start.peers) {
      this.#outputs.arrived(peer);
      this.#roles.set(peer.id, peer.roles);
    }
    if (this.#machine.traceHash !== start.traceHash) this.#differ(`trace hash ${start.traceHash}`, `trace hash ${this.#machine.traceHash}`);
  }

  /** An output of the last input. */
  recorded(record: Record): void {
    // Of an input that crashes what was handed on before is not told apart.
    if (this.#crash !== undefined || !this.#isCompared(record)) return;
    this.#compared++;
    const came = this.#came.shift();
    if (this.#saysVersion(record) && came !== undefined && this.#saysVersion(came)) return;
    if (came === undefined) this.#differ(shownRecord(record), 'nothing more');
    else if (!same(record, came)) this.#differ(shownRecord(record), shownRecord(came), firstField(record, came));
  }

  /** What a session did of its own is not, where the session was there before; nor how fast the other end reads. */
  #isCompared({ connection, what }: Record): boolean {
    if (what.kind === 'room' || what.kind === 'keepalive') return false;
    return connection === undefined || this.#sessions.has(connection);
  }

  /** HelloReply names the contract and the limits of a build: another build's are no difference. */
  #saysVersion({ what }: Record): boolean {
    return !this.#sameVersion && what.kind === 'session-sent' && what.frame.number === BODY.helloReply;
  }

  /** `outputs`: what came of it. */
  play(record: Record, outputs: readonly Record[]): void {
    this.#endInput();
    if (this.difference !== undefined) return;
    this.#last = record;
    this.#atNs = record.timeNs;
    this.#inputs++;
    this.#sessions.expect(outputs);
    try {
      if (record.realNs !== undefined) this.#machine.passRealTime(record.realNs);
      const { nowNs } = this.#machine;
      if (nowNs === record.timeNs) this.#input(record);
      else this.#differ(shownRecord(record), `the clock stands at ${nowNs} ns`);
      this.#take();
      this.#sessions.settle();
    } catch (error) {
      if (error instanceof ModelError) throw error;
      this.#crashed(error instanceof Error ? error.message : String(error));
    }
  }

  /** The bug is the recorded one when it comes at the same input with the same words. What came out before it is not compared. */
  #crashed(crash: string): void {
    const { end } = this.#recording;
    if (end?.crash === crash && end.inputs === this.#inputs) this.#crash = crash;
    else this.#differ('no crash', `a crash: ${crash}`);
    this.#came = [];
  }

  end(): Replayed {
    this.#endInput();
    const { traceHash, nowNs } = this.#machine;
    const { end } = this.#recording;
    if (end?.crash !== undefined && this.#crash === undefined) this.#differ(`a crash: ${end.crash}`, 'no crash');
    if (this.difference === undefined && end !== undefined && this.#crash === undefined) {
      if (end.inputs !== this.#inputs) this.#differ(`${end.inputs} inputs`, `${this.#inputs} in the file`);
      else if (end.nowNs !== nowNs) this.#differ(`the clock at ${end.nowNs} ns`, `${nowNs} ns`);
      else if (end.traceHash !== traceHash) this.#differ(`trace hash ${end.traceHash}`, traceHash);
    }
    return { inputs: this.#inputs, outputs: this.#compared, nowNs, traceHash, difference: this.difference, crash: this.#crash };
  }

  close(): void {
    this.#sessions.end();
  }

  #endInput(): void {
    const [extra] = this.#came;
    if (extra !== undefined) this.#differ('nothing more', shownRecord(extra));
    this.#came = [];
  }

  #input(record: Record): void {
    const { peer = 0, connection, wireId, what } = record;
    switch (what.kind) {
      case 'arrived': {
        // A session that is replayed has done so with its Hello.
        if (this.#sessions.has(connection) && this.#sessions.ofPeer(what.arrived.id) !== undefined) break;
        const id = this.#machine.peerAttach(what.arrived.roles);
        if (id !== what.arrived.id) this.#differ(`peer ${what.arrived.id}`, `peer ${id}`);
        this.#outputs.arrived(what.arrived);
        this.#roles.set(id, what.arrived.roles);
        break;
      }
      case 'gone':
        this.#outputs.gone(peer);
        this.#roles.delete(peer);
        this.#machine.peerDetach(peer);
        break;
      case 'silent':
        this.#machine.peerTimeout(peer);
        break;
      case 'command':
        this.#command(what.token, fromPlainText(what.json) as Command);
        break;
      case 'received':
        this.#received(peer, what.frame, wireId);
        break;
      case 'draining':
        this.#sessions.drain(what.deadlineMs);
        break;
      case 'shut-down':
        this.#sessions.shutDown();
        break;
      case 'alarm':
      case 'sent':
      case 'reply':
        break;
      default:
        this.#sessions.play(record);
    }
  }

  #received(peer: number, frame: RecordedFrame, wireId: number | undefined): void {
    const session = this.#sessions.ofPeer(peer);
    if (session !== undefined) this.#sessions.receive(session, frame, wireId ?? frame.id);
    else if (frame.kind === KIND.reply) this.#answer(peer, frame);
    else this.#call(peer, frame);
  }

  #attach(roles: PeerRoles): PeerId {
    const id = this.#machine.peerAttach(roles);
    this.#outputs.arrived({ id, calls: [], asked: [] });
    this.#roles.set(id, roles);
    return id;
  }

  #submit(peer: number, id: number, number: number, command: () => Command): void {
    this.#outputs.called(peer, { id, body: number }, this.#machine.nowNs);
    const refused = this.#tried(() => this.#machine.submit(peer, id, command()));
    if (refused !== undefined) {
      this.#refused(peer, id, refused);
      throw refused;
    }
    this.#take();
  }

  #kept(peer: number, { id, number }: { readonly id: number; readonly number: number }, error: ModelError | undefined): void {
    this.#outputs.called(peer, { id, body: number }, this.#machine.nowNs);
    if (error !== undefined) this.#refused(peer, id, error);
  }

  #answered(peer: number, token: number, answer: PeerAnswer): string | undefined {
    this.#outputs.takeAsked(peer, token);
    const wrong = this.#machine.answer(peer, token, answer);
    this.#take();
    return wrong;
  }

  #refused(peer: number, id: number, error: ModelError): void {
    const reply = this.#outputs.refused(peer, id, error, this.#machine.nowNs);
    if (reply !== undefined) this.#push(reply);
  }

  #command(token: number, command: Command): void {
    this.#outputs.calledOwn(token, this.#machine.nowNs);
    const refused = this.#tried(() => this.#machine.submit(0, token, command));
    if (refused !== undefined) this.#push(this.#outputs.refusedOwn(token, refused, this.#machine.nowNs));
  }

  #call(peer: number, frame: RecordedFrame): void {
    const { id, number, data } = frame;
    // The session's own.
    if (number === BODY.subscribe) return;
    try {
      this.#submit(peer, id, number, () => commandOf(number, decodeBody(frame), data, this.#roles.get(peer) ?? NO_ROLES));
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
    }
  }

  /** One of the wrong kind ends the connection, and that is the next input. */
  #answer(peer: number, frame: RecordedFrame): void {
    const asked = this.#outputs.takeAsked(peer, frame.id);
    const body = decodeBody(frame);
    if (asked === undefined) {
      this.#differ(`an answer to call ${frame.id}`, 'no such call');
      return;
    }
    this.#tried(() => {
      this.#machine.answer(peer, frame.id, peerAnswer(asked, frame.number, body, frame.data));
    });
  }

  /** What a malformed command gets comes after all that the machine had to say. */
  #tried(act: () => void): ModelError | undefined {
    try {
      act();
      return undefined;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.#take();
      return error;
    }
  }

  #take(): void {
    for (let items = this.#machine.takeOutbox(); items.length > 0; items = this.#machine.takeOutbox()) {
      for (const item of items) {
        const record = this.#outputs.of(item, this.#machine.nowNs);
        if (record !== undefined) this.#push(record);
        this.#sessions.handOn(item);
      }
    }
  }

  #push(record: Record): void {
    this.#atNs = record.timeNs;
    this.#came.push(record);
  }

  #differ(recorded: string, came: string, field?: string): void {
    this.difference ??= {
      input: this.#inputs,
      timeNs: this.#last?.timeNs ?? this.#recording.start.nowNs,
      of: this.#last === undefined ? 'the start' : shownRecord(this.#last),
      recorded,
      came,
      field,
    };
  }
}

const NO_WELCOME: Welcome = { product: '', productVersion: '', machine: '', preset: '', pageBytes: [] };
const NO_ROLES: PeerRoles = { host: false, device: false, memory: false, observer: false };

function machineOf(
  { spec, state, productVersion: recordedBy }: Recording['start'],
  productVersion: string,
  options: Pick<MachineOptions, 'readFunctions' | 'models'>,
): Machine {
  if (state === undefined) {
    try {
      return new Machine(specOfSnapshot({ spec }), options);
    } catch (error) {
      if (error instanceof ModelError) throw error;
      throw new ModelError(
        'EINVAL',
        `the recording describes no machine: ${error instanceof Error ? error.message : String(error)}`,
        'recording',
      );
    }
  }
  if (recordedBy !== productVersion) {
    throw new ModelError(
      'EINVAL',
      `the recording begins in the middle, with a machine that iommud ${recordedBy} saved, and this is ${productVersion}`,
      'recording',
    );
  }
  return Machine.restore({ spec, state }, { ...options, keepPeers: true });
}

function same(a: Record, b: Record): boolean {
  return Buffer.compare(encodeRecord(a), encodeRecord(b)) === 0;
}
