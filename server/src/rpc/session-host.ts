import type { Command, PeerAnswer, PeerId, PeerRoles } from '../core/machine/index.ts';
import type { Buffers } from './buffers.ts';
import type { RpcCounters } from './counters.ts';
import type { Welcome } from './hello.ts';
import type { Session } from './session.ts';

/** The machine's side of a session. */
export interface SessionHost {
  readonly counters: RpcCounters;
  readonly buffers: Buffers;
  readonly welcome: Welcome;
  /** False: it cannot be traced. */
  readonly traceable: boolean;
  attach(session: Session, roles: PeerRoles): PeerId;
  /** Its reply comes through {@link Session.reply}, now or later. Throws {@link ModelError} for a malformed command. */
  submit(session: Session, token: number, command: Command): void;
  /** Throws {@link ModelError} EPROTO for an answer of the wrong kind. */
  answer(session: Session, token: number, answer: PeerAnswer): void;
  /** The peer owes an answer for too long. */
  silent(session: Session): void;
  /** What it wants of the trace may have changed. */
  traceChanged(): void;
  gone(session: Session, reason: string): void;
  /** Our own mistake: ends the machine and all its sessions, not the process. */
  crash(error: unknown): void;
}
