import protobuf from 'protobufjs/minimal.js';
/** The sessions of a recording that is replayed: real ones, over wires of which nothing comes and on which everything is read at once. */
import { KIND, PacketReader, type CloseCode } from '../../../../proto/index.ts';
import { CALL_BODY_BYTES_MAX } from '../../../../proto/limits.ts';
import type { ModelError } from '../../core/base/index.ts';
import type { Command, Machine, MachineEvent, PeerAnswer, PeerId, PeerRoles, Outgoing } from '../../core/machine/index.ts';
import { Buffers } from '../buffers.ts';
import { rpcCounters } from '../counters.ts';
import type { RoleName } from '../enums.ts';
import type { Welcome } from '../hello.ts';
import type { SessionHost } from '../session-host.ts';
import { Session } from '../session.ts';
import { TraceTap } from '../trace-tap.ts';
import { writeFrame, type Record, type RecordedFrame } from './record.ts';
import { sessionRecords } from './session-records.ts';

/** What sessions ask of whoever replays; see SessionHost. */
export interface ReplayedHost {
  attach(roles: PeerRoles): PeerId;
  submit(peer: PeerId, frame: PacketReader, command: Command): void;
  kept(peer: PeerId, frame: PacketReader, error: ModelError | undefined): void;
  answer(peer: PeerId, token: number, answer: PeerAnswer): string | undefined;
  /** Something that came out of a session. */
  came(record: Record): void;
}

interface Wire {
  session: Session | undefined;
  /** Of the Hello that it is about to hear. */
  allowed: readonly RoleName[] | undefined;
  /** Whether it has room for events, and the changes of that while what is played now was handed on; `undefined` stands for an event that was sent. */
  room: boolean;
  rooms: (boolean | undefined)[];
  resuming: boolean;
}

const PACKET_FRAME = 0x0a;
const EVENT = KIND.event;

export class ReplayedSessions {
  readonly #port: SessionHost;
  readonly #byConnection = new Map<number, Wire>();
  readonly #byPeer = new Map<PeerId, Session>();
  readonly #trace: TraceTap;
  #over = false;

  constructor(host: ReplayedHost, machine: Machine, welcome: Welcome) {
    this.#trace = new TraceTap(machine.trace, this.#byPeer);
    this.#port = {
      counters: rpcCounters(),
      buffers: new Buffers(),
      welcome,
      traceable: true,
      attach: (session, roles) => {
        const peer = host.attach(roles);
        this.#byPeer.set(peer, session);
        return peer;
      },
      submit: (session, frame, command) => host.submit(session.peer, frame, command),
      unserved: (session) => machine.unserved(session.peer),
      kept: (session, frame, error) => host.kept(session.peer, frame, error),
      answer: (session, token, answer) => host.answer(session.peer, token, answer),
      mistake: () => undefined,
      silent: () => undefined,
      room: (session) => this.#room(session),
      resumes: (session) => this.#byConnection.get(session.connection)?.resuming === true,
      record: sessionRecords(
        ({ connection, peer }, what, isInput) => {
          if (isInput) return;
          if (what.kind === 'session-sent' && what.frame.kind === EVENT) this.#byConnection.get(connection)?.rooms.shift();
          host.came({ timeNs: machine.nowNs, input: undefined, peer, realNs: undefined, connection, what });
        },
        () => !this.#over,
      ),
      traceChanged: () => this.#trace.update(),
      gone: (session) => {
        this.#byPeer.delete(session.peer);
        this.#trace.update();
      },
      crash: (error) => {
        throw error;
      },
    };
  }

  /** Whether what this connection does is replayed: one that was there before the recording is not. */
  has(connection: number | undefined): boolean {
    return connection !== undefined && this.#byConnection.has(connection);
  }
  ofPeer(peer: PeerId): Session | undefined {
    return this.#byPeer.get(peer);
  }

  /** Plays what a session did, or what was done to it. */
  play({ connection = 0, allowed, what }: Record): void {
    if (what.kind === 'opened') this.#open(connection);
    const wire = this.#byConnection.get(connection);
    if (wire?.session === undefined) return;
    const { session } = wire;
    if (what.kind === 'session-received') {
      wire.allowed = allowed;
      session.receive(readerOf(what.frame, what.frame.id));
    } else if (what.kind === 'closed') {
      session.close(what.code as CloseCode, what.reason, 'circumstance');
    } else if (what.kind === 'room') {
      wire.room = true;
      wire.resuming = true;
      session.resume();
      wire.resuming = false;
    }
  }

  /** What follows is in answer to what is played next, and says when there was room for events. */
  expect(outputs: readonly Record[]): void {
    for (const { rooms } of this.#byConnection.values()) rooms.length = 0;
    for (const { connection, what } of outputs) {
      const rooms = connection === undefined ? undefined : this.#byConnection.get(connection)?.rooms;
      if (what.kind === 'room') rooms?.push(what.room);
      else if (what.kind === 'session-sent' && what.frame.kind === EVENT) rooms?.push(undefined);
    }
  }

  /** A frame of a connection that goes to the machine. `id`: on the wire. */
  receive(session: Session, frame: RecordedFrame, id: number): void {
    session.receive(readerOf(frame, id));
  }

  handOn(item: Outgoing): void {
    if (item.type === 'event') this.#tell(item.event);
    else if (item.type === 'reply') this.#byPeer.get(item.to)?.reply(item.token, item.reply);
    else this.#byPeer.get(item.to)?.ask(item.token, item.call);
  }

  drain(deadlineMs: number): void {
    for (const { session } of this.#byConnection.values()) session?.drain(deadlineMs);
  }
  shutDown(): void {
    for (const { session } of this.#byConnection.values()) session?.shutDown();
  }

  /** Everything has been read on the other side: credits come back. */
  settle(): void {
    for (const session of this.#byPeer.values()) session.flush();
  }

  end(): void {
    this.#over = true;
    this.#trace.stop();
    for (const { session } of this.#byConnection.values()) session?.close(1001, 'the replay is over', 'circumstance');
  }

  #open(connection: number): void {
    const wire: Wire = { session: undefined, allowed: undefined, room: true, rooms: [], resuming: false };
    this.#byConnection.set(connection, wire);
    const bytes = {
      start: () => undefined,
      send: (_: Uint8Array, written?: () => void) => written?.(),
      bufferedBytes: 0,
      close: () => undefined,
    };
    wire.session = new Session(this.#port, connection, bytes, () => (wire.allowed === undefined ? undefined : { roles: wire.allowed }));
    wire.session.start();
  }

  #tell(event: MachineEvent): void {
    for (const session of this.#byPeer.values()) session.event(event);
  }

  /** Within one input it only goes: it comes back when something has been read. */
  #room({ connection }: Session): boolean {
    const wire = this.#byConnection.get(connection);
    if (wire === undefined) return true;
    const [next] = wire.rooms;
    if (next !== undefined) {
      wire.rooms.shift();
      wire.room = next;
    }
    return wire.room;
  }
}

function readerOf(frame: RecordedFrame, id: number): PacketReader {
  const packet = writeFrame(protobuf.Writer.create().uint32(PACKET_FRAME).fork(), { ...frame, id })
    .ldelim()
    .finish();
  const reader = new PacketReader(new Uint8Array(packet.buffer, packet.byteOffset, packet.byteLength), CALL_BODY_BYTES_MAX);
  if (!reader.next()) throw new RangeError('a recorded frame is none');
  return reader;
}
