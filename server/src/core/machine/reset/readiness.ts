/** Waiting until a function answers after its reset: pci_dev_wait() (`drivers/pci/pci.c`). */
import { formatBdf } from '../../base/index.ts';
import { isDisconnected } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, ResetTask } from '../state.ts';

/** PCIE_RESET_READY_POLL_MS: the delay may not pass it. */
export const READY_MS = 60_000;
/** PCI_RESET_WAIT: from here on the log says how long it takes. */
export const SLOW_MS = 1000;

export type Readiness = 'ready' | 'waits' | 'never';

/**
 * One look. Polls double from 1 ms until the delay would pass `limitMs`; one that is gone is not waited for. `task.poll`: the delay, 0 at first;
 * `sleep` is called where it is to be looked at again.
 */
export function lookWhetherReady(m: Parts, task: ResetTask, fn: FunctionState, limitMs: number, sleep: (ms: number) => void): Readiness {
  const name = formatBdf(fn.bdf);
  task.poll = Math.max(1, task.poll);
  const passedMs = task.poll - 1;
  if (isDisconnected(fn)) {
    task.warning = `${name} is disconnected; not waiting`;
    m.outbox.log('warn', fn.bdf, task.warning);
    return 'never';
  }
  if (!fn.resetting) {
    if (task.poll > SLOW_MS) m.outbox.log('info', fn.bdf, `${name} was ready ${passedMs} ms after ${task.method}`);
    return 'ready';
  }
  if (task.poll > limitMs) {
    task.warning = `${name} was not ready ${passedMs} ms after ${task.method}${owedText(fn)}; giving up`;
    m.outbox.log('warn', fn.bdf, task.warning);
    return 'never';
  }
  if (task.poll > SLOW_MS)
    m.outbox.log('info', fn.bdf, `${name} was not ready ${passedMs} ms after ${task.method}${owedText(fn)}; waiting`);
  sleep(task.poll);
  task.poll *= 2;
  return 'waits';
}

/** Who keeps it from being ready, where a peer plays it. */
function owedText({ peerResets, claimedBy }: FunctionState): string {
  return peerResets === 0 ? '' : `, for peer ${claimedBy} has not answered its device_reset`;
}
