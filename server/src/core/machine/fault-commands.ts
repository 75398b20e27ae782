/** Faults on purpose, armed and disarmed by a host. */
import { HOLD_POINTS, ModelError } from '../base/index.ts';
import { FAULT_KINDS, type FaultArm, type FaultDisarm } from './command.ts';
import { sendGathered } from './invalidation.ts';
import type { Parts } from './parts.ts';
import { functionMayBeReady } from './reset.ts';
import type { FunctionState, Origin } from './state.ts';

export function faultArm(m: Parts, origin: Origin, fn: FunctionState, command: FaultArm): void {
  const { fault, first, count, point, delayNs } = command;
  if (!FAULT_KINDS.includes(fault)) throw new ModelError('EINVAL', `unknown fault "${String(fault)}"`, 'fault');
  if (!Number.isInteger(first) || first < 1) throw new ModelError('EINVAL', `first ${first} is not 1 or more`, 'first');
  if (!Number.isInteger(count) || count < 0) throw new ModelError('EINVAL', `count ${count} is not 0 (without end) or more`, 'count');
  if (fault === 'hold' && point === undefined) {
    throw new ModelError('EINVAL', `a hold says where: ${HOLD_POINTS.join(', ')}`, 'point');
  }
  if (fault === 'coalesced-completions' && count === 0 && delayNs === 0) {
    throw new ModelError('EINVAL', 'completions that are gathered without end need a delay after which they are sent', 'delay_ns');
  }
  fn.armed.set(fault, { first, count: count === 0 ? Infinity : count, point: point ?? 'issued', delayNs });
  m.outbox.ok(origin);
}

export function faultDisarm(m: Parts, origin: Origin, fn: FunctionState, command: FaultDisarm): void {
  fn.armed.delete(command.fault);
  if (command.fault === 'coalesced-completions') sendGathered(m, fn);
  if (command.fault === 'never-ready') {
    fn.neverReady = false;
    functionMayBeReady(m, fn);
  }
  m.outbox.ok(origin);
}
