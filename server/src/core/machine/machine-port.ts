import type { Bdf } from '../base/index.ts';
import type { Command, GraceOver } from './command.ts';
import type { Outgoing, PeerAnswer, PeerId } from './outgoing.ts';

/** A function, or a range of memory by its address, and whose it was. */
export type Absent = { readonly bdf: Bdf; readonly peer: PeerId } | { readonly address: bigint; readonly peer: PeerId };

/** The command by which the grace time of these is over. */
export function graceOver(left: readonly Absent[]): GraceOver {
  return {
    kind: 'grace-over',
    functions: left.flatMap((one) => ('bdf' in one ? [one.bdf] : [])),
    memory: left.flatMap((one) => ('address' in one ? [one.address] : [])),
  };
}

export interface PeerRoles {
  readonly host: boolean;
  readonly device: boolean;
  readonly memory: boolean;
  readonly observer: boolean;
}

export interface Unserved {
  /** Posted calls that were refused, and Invalidate Completions that nothing waited for, since the last that was served. */
  readonly unserved: number;
  /** The last of them. */
  readonly unservedWhy: string;
}

/** The ports of a machine that `rpc` uses; `Machine` is the one implementation. */
export interface MachinePort {
  readonly spec: { readonly name: string };
  peerAttach(roles: PeerRoles): PeerId;
  /** The peer is gone: its calls lose their replies, its memory and its functions are absent. */
  peerDetach(peer: PeerId): void;
  /** Functions and memory that a peer which vanished has left absent: they have a grace time (`grace-over`) in which they can be claimed again. */
  absent(): readonly Absent[];
  /** A peer has been silent past the watchdog: it no longer holds the clock. */
  peerTimeout(peer: PeerId): void;
  /** Runs the command; its reply is in the outbox now or comes later. Throws ModelError for a malformed one. */
  submit(peer: PeerId, token: number, command: Command): void;
  /**
   * The answer of a peer to call `token`. Says what is wrong with one that does not fit its call, which ends as by the error EPROTO. Throws ModelError (EPROTO)
   * for one that was not asked.
   */
  answer(peer: PeerId, token: number, answer: PeerAnswer): string | undefined;
  /** Takes what has gathered, oldest first. */
  takeOutbox(): readonly Outgoing[];
  /** Clock mode `real`: nanoseconds until the next alarm, or undefined. */
  nextAlarmNs(): number | undefined;
  /** Clock mode `real`: real time has come so far. */
  passRealTime(nowNs: number): void;
  /** Calls that `peer` has not answered, with what each is, for diagnostics. */
  owedBy(peer: PeerId): number;
  /** What `peer` has asked in vain, in a row, where no reply could say so. Undefined: there is no such peer. */
  unserved(peer: PeerId): Unserved | undefined;
}
