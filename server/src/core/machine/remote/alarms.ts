/** Alarms of a function that a peer plays: on the machine's clock, as those of a model. */
import { ModelError } from '../../base/index.ts';
import { MODEL_ALARMS } from '../../devices/index.ts';
import type { DeviceAlarmSet } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Origin } from '../state.ts';

export function deviceAlarmSet(m: Parts, origin: Origin, fn: FunctionState, { alarm, delayNs }: DeviceAlarmSet): void {
  if (!Number.isInteger(alarm) || alarm < 0 || alarm >= MODEL_ALARMS) {
    throw new ModelError('EINVAL', `alarm ${alarm}; a function has ${MODEL_ALARMS}, from 0`, 'alarm');
  }
  m.clock.cancel(fn.modelAlarms[alarm] ?? 0);
  fn.modelAlarms[alarm] = delayNs === undefined ? 0 : m.clock.set(delayNs, 'model', fn.index * MODEL_ALARMS + alarm);
  m.outbox.ok(origin);
}
