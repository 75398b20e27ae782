/**
 * An idle core sleeps, and waking it adds about 100 µs to a round trip; a figure of 20 µs then measures the power
 * management. A spinner on every core, at the lowest priority, keeps them awake and takes about 1.5 % of a busy one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, constants, setPriority } from 'node:os';

/** Ends by itself when the process that started it is gone. */
const SPIN = 'const parent = process.ppid; while (process.ppid === parent) for (let i = 0; i < 1e7; i++);';

/** Starts one for each core. The returned function stops them. */
export async function startSpinners(count = availableParallelism()): Promise<() => Promise<void>> {
  const children = Array.from({ length: count }, () => spawn(process.execPath, ['-e', SPIN], { stdio: 'ignore' }));
  await Promise.all(
    children.map(async (child) => {
      await once(child, 'spawn');
      if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    }),
  );
  return async () => {
    const ended = children.map((child) => once(child, 'exit'));
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(ended);
  };
}
