/** A recording run against this build, without the peers: each input as it came, and what comes of it held against what came then. */
import { BODY, KIND } from '../../../../proto/index.ts';
import { ModelError, type TraceSink } from '../../core/base/index.ts';
import { Machine, specOfSnapshot, type Command, type MachineOptions, type MachineSpec, type PeerRoles } from '../../core/machine/index.ts';
import { commandOf } from '../command-of.ts';
import { peerAnswer } from '../peer-calls.ts';
import { OutputRecords } from './output-records.ts';
import { fromPlainText } from './plain-text.ts';
import type { Recording } from './read-recording.ts';
import { decodeBody, encodeRecord, type Record, type RecordedFrame } from './record.ts';
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
  for (const record of recording.records()) {
    options.onRecord?.(record);
    if (record.input === undefined) player.recorded(record);
    else player.play(record);
    if (player.difference !== undefined) break;
  }
  return player.end();
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
  /** What came of the last input and has not been compared. */
  #came: Record[] = [];
  #last: Record | undefined;
  #inputs = 0;
  #compared = 0;
  #crash: string | undefined;
  difference: Difference | undefined;

  constructor(recording: Recording, { productVersion, readFunctions, models, trace }: ReplayOptions) {
    this.#recording = recording;
    const { start } = recording;
    const options = { ...(readFunctions === undefined ? {} : { readFunctions }), ...(models === undefined ? {} : { models }) };
    this.#machine = machineOf(start, productVersion, options);
    if (trace !== undefined) this.#machine.trace.listen(trace);
    for (const peer of start.peers) {
      this.#outputs.arrived(peer);
      this.#roles.set(peer.id, peer.roles);
    }
    if (this.#machine.traceHash !== start.traceHash) this.#differ(`trace hash ${start.traceHash}`, `trace hash ${this.#machine.traceHash}`);
  }

  /** An output of the last input. */
  recorded(record: Record): void {
    // Of an input that crashes what was handed on before is not told apart.
    if (this.#crash !== undefined) return;
    this.#compared++;
    const came = this.#came.shift();
    if (came === undefined) this.#differ(shownRecord(record), 'nothing more');
    else if (!same(record, came)) this.#differ(shownRecord(record), shownRecord(came), firstField(record, came));
  }

  play(record: Record): void {
    this.#endInput();
    if (this.difference !== undefined) return;
    this.#last = record;
    this.#inputs++;
    try {
      if (record.realNs !== undefined) this.#machine.passRealTime(record.realNs);
      const { nowNs } = this.#machine;
      if (nowNs === record.timeNs) this.#input(record);
      else this.#differ(shownRecord(record), `the clock stands at ${nowNs} ns`);
      this.#take();
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

  #endInput(): void {
    const [extra] = this.#came;
    if (extra !== undefined) this.#differ('nothing more', shownRecord(extra));
    this.#came = [];
  }

  #input({ peer = 0, what }: Record): void {
    switch (what.kind) {
      case 'arrived': {
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
        if (what.frame.kind === KIND.reply) this.#answer(peer, what.frame);
        else this.#call(peer, what.frame);
        break;
      case 'alarm':
      case 'sent':
      case 'reply':
        break;
    }
  }

  #command(token: number, command: Command): void {
    this.#outputs.calledOwn(token, this.#machine.nowNs);
    const refused = this.#tried(() => this.#machine.submit(0, token, command));
    if (refused !== undefined) this.#came.push(this.#outputs.refusedOwn(token, refused, this.#machine.nowNs));
  }

  #call(peer: number, frame: RecordedFrame): void {
    const { id, number, data } = frame;
    this.#outputs.called(peer, { id, body: number }, this.#machine.nowNs);
    // The session's own.
    if (number === BODY.subscribe) return;
    const refused = this.#tried(() =>
      this.#machine.submit(peer, id, commandOf(number, decodeBody(frame), data, this.#roles.get(peer) ?? NO_ROLES)),
    );
    const reply = refused === undefined ? undefined : this.#outputs.refused(peer, id, refused, this.#machine.nowNs);
    if (reply !== undefined) this.#came.push(reply);
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
    for (const item of this.#machine.takeOutbox()) {
      const record = this.#outputs.of(item, this.#machine.nowNs);
      if (record !== undefined) this.#came.push(record);
    }
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
