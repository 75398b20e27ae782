/** Calls that a host holds before one of their steps, and lets go. */
import { ModelError, errno, type Bdf } from '../../base/index.ts';
import type { Invalidation } from '../../translation/index.ts';
import type { CallHold, CallRelease } from '../command.ts';
import type { PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Origin, SteppedCall } from '../state.ts';
import { CALL_STEPS, type CallName, type StepName } from './call-steps.ts';

/** Holds that one machine may have: each is looked at for every step. */
export const CALL_HOLDS_MAX = 256;

const ALL_STEPS: readonly StepName[] = Object.values(CALL_STEPS).flat();

/** A hold that is set. */
export interface ArmedHold {
  readonly id: number;
  readonly call: CallName | '';
  /** Undefined: before any. */
  readonly steps: ReadonlySet<StepName> | undefined;
  readonly bdf: Bdf | undefined;
  /** Who set it: with a peer that goes, its holds go. */
  readonly peer: PeerId;
  /** How often it will still stop one. */
  left: number;
}

/** Something that stands before a step. */
export interface StoppedCall {
  readonly id: number;
  readonly call: CallName;
  readonly step: StepName;
  readonly bdf: Bdf | undefined;
  readonly hold: number;
  readonly sinceNs: number;
  /** An Invalidate Request on its way to the function; undefined: an operation. */
  readonly invalidation: Invalidation | undefined;
}

export function callHold(m: Parts, origin: Origin, command: CallHold, peer: PeerId): void {
  const { call, step, bdf, count } = command;
  const steps: readonly StepName[] = call === '' ? ALL_STEPS : Object.hasOwn(CALL_STEPS, call) ? CALL_STEPS[call] : [];
  if (steps.length === 0) throw new ModelError('EINVAL', `no call "${call}" has steps; ${Object.keys(CALL_STEPS).join(', ')} have`, 'call');
  const wanted: readonly StepName[] = typeof step !== 'string' ? step : step === '' ? [] : [step];
  const unknown = wanted.find((name) => !steps.includes(name));
  if (unknown !== undefined) {
    throw new ModelError(
      'EINVAL',
      `${call === '' ? 'no call' : call} has no step "${unknown}"; its steps are ${[...new Set(steps)].join(', ')}`,
      'step',
    );
  }
  if (!Number.isInteger(count) || count < 0) throw new ModelError('EINVAL', `count ${count} is not 0 or more`, 'count');
  if (m.callHolds.size >= CALL_HOLDS_MAX) {
    m.outbox.refuse(origin, 'EAGAIN', `this machine has ${CALL_HOLDS_MAX} holds already; release some`, 'call');
    return;
  }
  const id = m.operations.nextId();
  m.callHolds.set(id, {
    id,
    call,
    steps: wanted.length === 0 ? undefined : new Set(wanted),
    bdf,
    peer,
    left: count === 0 ? Infinity : count,
  });
  m.outbox.reply(origin, { kind: 'call-hold', hold: id });
}

/** True when a hold stops the call before this step. */
export function stopsBefore(m: Parts, call: SteppedCall, step: StepName): boolean {
  const hold = m.callHolds.size === 0 ? undefined : holdFor(m, call.call, step, call.bdf);
  if (hold === undefined) return false;
  call.heldBy = hold.id;
  stop(m, { id: call.id, call: call.call, step, bdf: call.bdf, hold: hold.id, sinceNs: m.clock.nowNs, invalidation: undefined });
  return true;
}

/** The same for an Invalidate Request that is about to reach its function. */
export function stopsDelivery(m: Parts, invalidation: Invalidation): boolean {
  const { bdf } = invalidation;
  const hold = m.callHolds.size === 0 ? undefined : holdFor(m, 'invalidate', 'deliver', bdf);
  if (hold === undefined) return false;
  stop(m, { id: m.operations.nextId(), call: 'invalidate', step: 'deliver', bdf, hold: hold.id, sinceNs: m.clock.nowNs, invalidation });
  return true;
}

function holdFor(m: Parts, call: CallName, step: StepName, bdf: Bdf | undefined): ArmedHold | undefined {
  for (const hold of m.callHolds.values()) {
    if (hold.left <= 0 || (hold.call !== '' && hold.call !== call) || hold.steps?.has(step) === false) continue;
    if (hold.bdf !== undefined && hold.bdf !== bdf) continue;
    hold.left--;
    return hold;
  }
  return undefined;
}

function stop(m: Parts, stopped: StoppedCall): void {
  m.stoppedCalls.set(stopped.id, stopped);
}

/** Lets go, and returns the Invalidate Requests that now reach their functions. */
export function callRelease(m: Parts, origin: Origin, command: CallRelease): readonly Invalidation[] {
  const { hold, stopped, keep } = command;
  const freed = stoppedBy(m, hold, stopped);
  if (!m.callHolds.has(hold) || (stopped !== 0 && freed.length === 0)) {
    const text = m.callHolds.has(hold) ? `hold ${hold} stops no call ${stopped}` : `no hold ${hold}`;
    m.outbox.refuse(origin, errno('ENOENT'), text, m.callHolds.has(hold) ? 'stopped' : 'hold');
    return [];
  }
  if (!keep && stopped === 0) m.callHolds.delete(hold);
  const deliveries = letGo(m, freed);
  m.outbox.ok(origin);
  return deliveries;
}

/** Of a hold: all that it stops, or one of them. */
function stoppedBy(m: Parts, hold: number, stopped: number): readonly StoppedCall[] {
  if (stopped === 0) return [...m.stoppedCalls.values()].filter((call) => call.hold === hold);
  const call = m.stoppedCalls.get(stopped);
  return call?.hold === hold ? [call] : [];
}

/** The peer is gone: nobody would let go what its holds stop. */
export function releaseHoldsOf(m: Parts, peer: PeerId): readonly Invalidation[] {
  const deliveries: Invalidation[] = [];
  for (const hold of m.callHolds.values()) {
    if (hold.peer !== peer) continue;
    m.callHolds.delete(hold.id);
    deliveries.push(...letGo(m, stoppedBy(m, hold.id, 0)));
  }
  return deliveries;
}

function letGo(m: Parts, calls: readonly StoppedCall[]): readonly Invalidation[] {
  const deliveries: Invalidation[] = [];
  for (const { id, invalidation } of calls) {
    m.stoppedCalls.delete(id);
    const call = m.operations.get(id);
    if (invalidation !== undefined) {
      deliveries.push(invalidation);
    } else if (call !== undefined && 'heldBy' in call) {
      call.heldBy = 0;
      call.passes = true;
      m.operations.wake(call);
    }
  }
  return deliveries;
}

export function callsHeld(m: Parts, origin: Origin): void {
  const calls = [...m.stoppedCalls.values()];
  m.outbox.reply(origin, {
    kind: 'calls-held',
    calls: calls.map(({ id, call, step, bdf, hold, sinceNs }) => ({ id, call, step, bdf, hold, sinceNs })),
  });
}
