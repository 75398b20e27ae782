import type { FrameKind, PacketReader } from '../../../proto/index.ts';
import type { ModelError } from '../core/base/index.ts';
import type { Command, PeerAnswer, PeerId, PeerRoles, Unserved } from '../core/machine/index.ts';
import type { Buffers } from './buffers.ts';
import type { RpcCounters } from './counters.ts';
import type { RoleName } from './enums.ts';
import type { Welcome } from './hello.ts';
import type { ClosedBy, KeepaliveName } from './recording/session-record.ts';
import type { Session } from './session.ts';

/** The machine's side of a session. */
export interface SessionHost {
  readonly counters: RpcCounters;
  readonly buffers: Buffers;
  readonly welcome: Welcome;
  /** False: it cannot be traced. */
  readonly traceable: boolean;
  attach(session: Session, roles: PeerRoles): PeerId;
  /** Its reply comes through {@link Session.reply}, now or later. `frame`: what it was. Throws {@link ModelError} for a malformed command. */
  submit(session: Session, frame: PacketReader, command: Command): void;
  /** What it has asked in vain, in a row, where no reply could say so. */
  unserved(session: Session): Unserved | undefined;
  /** A call that does not reach the machine: it is the session's (no error), or it is refused before. */
  kept(session: Session, frame: PacketReader, error: ModelError | undefined): void;
  /** `frame`: the reply that it was. Says what is wrong with an answer that does not fit its call, which has ended in an error then. */
  answer(session: Session, token: number, answer: PeerAnswer, frame: PacketReader): string | undefined;
  /** Something that it should not have answered, or not so: its `count`-th. */
  mistake(session: Session, why: string, count: number): void;
  /** The peer owes an answer for too long. */
  silent(session: Session): void;
  /** Whether it gets events, given whether there is room in its send buffer. */
  room(session: Session, has: boolean): boolean;
  /** There is room again, and events were held back: whether they follow. */
  resumes(session: Session): boolean;
  /** What wants to be known of a session besides: a recording. */
  readonly record: SessionRecord;
  /** What it wants of the trace may have changed. */
  traceChanged(): void;
  gone(session: Session, reason: string): void;
  /** Our own mistake: ends the machine and all its sessions, not the process. */
  crash(error: unknown): void;
}

/** What a session does that does not reach the machine; each before it is done. */
export interface SessionRecord {
  /** `allowed`: of a Hello, the roles that its credentials allow. */
  heard(session: Session, frame: PacketReader, allowed?: readonly RoleName[]): void;
  /** A frame of its own: no reply or call of the machine's. */
  told(session: Session, id: number, kind: FrameKind, number: number, body: object): void;
  /** A call of the machine's goes out. */
  asked(session: Session, token: number, id: number): void;
  closing(session: Session, code: number, reason: string, by: ClosedBy): void;
  keepalive(session: Session, what: KeepaliveName): void;
}
