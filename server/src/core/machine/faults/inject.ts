/** What armed faults of a function do to its DMA operations. */
import { Prng } from '../../base/index.ts';
import { faultActs } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import { INJECTED, type ArmedFault, type DmaTask } from '../state.ts';

type Held = Pick<ArmedFault, 'point' | 'delayNs'>;

/** Notes what acts on the operation; returns where it is held, if anywhere. Each fault counts the operations that it can act on. */
export function inject(task: DmaTask): Held | undefined {
  const { fn, operation } = task;
  const hold = faultActs(fn, 'hold');
  if (operation !== 'translate' && faultActs(fn, 'poisoned-data') !== undefined) task.injected |= INJECTED.poisoned;
  if (operation === 'write') return hold;
  if (operation !== 'translate' && faultActs(fn, 'corrupt-completions') !== undefined) task.injected |= INJECTED.corrupt;
  if (faultActs(fn, 'malformed-completions') !== undefined) {
    // It comes where it is due, and leaves the function waiting.
    task.injected |= INJECTED.malformed | INJECTED.late;
    return { point: 'performed', delayNs: 0 };
  }
  if (faultActs(fn, 'duplicate-completions') !== undefined) task.injected |= INJECTED.twice;
  const late = faultActs(fn, 'late-completions');
  if (late === undefined) return hold;
  task.injected |= INJECTED.late;
  return hold ?? { point: 'performed', delayNs: late.delayNs };
}

/** Flips one bit of what came, which one is chance of the machine's seed; the CRC of the link does not cover what happens inside a device. */
export function corrupt(m: Parts, task: DmaTask): void {
  if (task.failedAt === 0) return;
  const bit = new Prng((m.spec.seed + task.id) >>> 0).below(8 * task.failedAt);
  task.data[bit >>> 3]! ^= 1 << (bit & 7);
}
