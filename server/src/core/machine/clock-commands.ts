/** The machine's clock as hosts see it. */
import { ModelError, TIME_NS_MAX } from '../base/index.ts';
import type { ClockAdvance, ClockGrant, ClockHold, ClockInfo, ClockRelease } from './command.ts';
import type { PeerId } from './outgoing.ts';
import type { Parts } from './parts.ts';
import type { Peer } from './peers.ts';
import type { AdvanceTask, Origin } from './state.ts';

/** A day before the clock's end, so that what is set there still rings. */
const ADVANCE_NS_MAX = TIME_NS_MAX - 86_400_000_000_000;

export function clockInfo(m: Parts, origin: Origin, _command: ClockInfo): void {
  m.outbox.reply(origin, { kind: 'clock', nowNs: m.clock.nowNs, movedNs: 0 });
}

/** An operation, because it waits while a peer owes an answer; the machine's loop moves the clock. */
export function clockAdvance(m: Parts, origin: Origin, { ns, force }: ClockAdvance): void {
  m.operations.start<AdvanceTask>(origin, { kind: 'advance', targetNs: later(m, m.clock.nowNs, ns), force });
}

/** From now on the clock passes only as far as this peer grants. Of several the one that has granted least decides. */
export function clockHold(m: Parts, origin: Origin, peerId: PeerId, _command: ClockHold): void {
  checkOwnTime(m);
  const peer = attached(m, peerId);
  if (peer.clockUntilNs === Infinity) peer.clockUntilNs = m.clock.nowNs;
  m.outbox.reply(origin, { kind: 'clock', nowNs: m.clock.nowNs, movedNs: 0 });
}

/** One more quantum behind those that it has granted. Answered when the clock has come to its end. */
export function clockGrant(m: Parts, origin: Origin, peerId: PeerId, { ns }: ClockGrant): void {
  const peer = attached(m, peerId);
  if (peer.clockUntilNs === Infinity) throw new ModelError('EINVAL', 'only who holds the clock can grant time: hold it first', 'ns');
  peer.clockUntilNs = later(m, peer.clockUntilNs, ns);
  m.operations.start<AdvanceTask>(origin, { kind: 'advance', targetNs: peer.clockUntilNs, force: false });
}

/** The clock passes without it again; what it has granted, and the clock has not come to, is answered when it does. */
export function clockRelease(m: Parts, origin: Origin, peerId: PeerId, _command: ClockRelease): void {
  attached(m, peerId).clockUntilNs = Infinity;
  m.outbox.reply(origin, { kind: 'clock', nowNs: m.clock.nowNs, movedNs: 0 });
}

function later(m: Parts, fromNs: number, ns: number): number {
  if (!Number.isSafeInteger(ns) || ns < 0) throw new ModelError('EINVAL', `ns ${ns} is not a whole number of nanoseconds`, 'ns');
  checkOwnTime(m);
  const targetNs = fromNs + ns;
  if (targetNs > ADVANCE_NS_MAX) {
    throw new ModelError('EINVAL', `${ns} ns from ${fromNs} ns is beyond ${ADVANCE_NS_MAX} ns, where this clock ends`, 'ns');
  }
  return targetNs;
}

function checkOwnTime(m: Parts): void {
  if (m.spec.clock === 'real') throw new ModelError('EOPNOTSUPP', 'this machine follows real time', 'clock');
}

function attached(m: Parts, id: PeerId): Peer {
  const peer = m.peers.get(id);
  if (peer === undefined) throw new ModelError('EOPNOTSUPP', 'only a peer on a connection holds the clock', 'clock');
  return peer;
}
