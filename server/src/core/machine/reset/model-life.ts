import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';

/** The model is as at power-up: its alarms ring no more, and what it has started ends without it. */
export function resetModel(m: Parts, fn: FunctionState): void {
  fn.modelLife++;
  for (const sequence of fn.modelAlarms) m.clock.cancel(sequence);
  fn.modelAlarms.length = 0;
  fn.model.reset();
}
