/** The machine's clock as hosts see it. */
import { ModelError, TIME_NS_MAX } from '../base/index.ts';
import type { ClockAdvance, ClockInfo } from './command.ts';
import type { Parts } from './parts.ts';
import type { AdvanceTask, Origin } from './state.ts';

/** A day before the clock's end, so that what is set there still rings. */
const ADVANCE_NS_MAX = TIME_NS_MAX - 86_400_000_000_000;

export function clockInfo(m: Parts, origin: Origin, _command: ClockInfo): void {
  m.outbox.reply(origin, { kind: 'clock', nowNs: m.clock.nowNs, movedNs: 0 });
}

/** An operation, because it waits while a peer owes an answer; the machine's loop moves the clock. */
export function clockAdvance(m: Parts, origin: Origin, command: ClockAdvance): void {
  const { ns, force } = command;
  if (!Number.isSafeInteger(ns) || ns < 0) throw new ModelError('EINVAL', `ns ${ns} is not a whole number of nanoseconds`, 'ns');
  if (m.spec.clock === 'real') throw new ModelError('EOPNOTSUPP', 'this machine follows real time', 'clock');
  const targetNs = m.clock.nowNs + ns;
  if (targetNs > ADVANCE_NS_MAX) {
    throw new ModelError('EINVAL', `${ns} ns from ${m.clock.nowNs} ns is beyond ${ADVANCE_NS_MAX} ns, where this clock ends`, 'ns');
  }
  m.operations.start<AdvanceTask>(origin, { kind: 'advance', targetNs, force });
}
