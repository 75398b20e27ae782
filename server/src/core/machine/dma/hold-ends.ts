/** What held a request is over: it goes on, its function gives it up, or what it waited for comes when nobody does any more. */
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { Request } from '../state.ts';
import { unhold } from './dma-hold.ts';
import { end } from './dma-ledger.ts';
import { isDisconnected } from './gate.ts';

/** The alarm of a held request has rung: its time is over, or its function's patience. */
export function holdEnds(m: Parts, request: Request): void {
  request.holdAlarm = 0;
  m.timedHolds.delete(request.id);
  if (request.dead) {
    completesLate(m, request);
    return;
  }
  if (!request.timesOut) {
    unhold(m, request);
    return;
  }
  request.dead = true;
  request.fn.entries = request.fn.entries.filter((other) => other !== request);
  end(m, request, STATUS['completion-timeout']);
  if (request.lateNs === 0) return;
  request.holdAlarm = m.clock.set(request.lateNs, 'request', request.id);
  m.timedHolds.set(request.id, request);
}

/** The completion of a request that was given up. A function that was reset, or whose link went down since then, has no record of it to log an error for. */
function completesLate(m: Parts, { task, fn, epoch }: Request): void {
  if (task === undefined || task.life !== fn.modelLife || fn.epoch !== epoch || isDisconnected(fn)) return;
  m.errors.push({ kind: 'unexpected-completion', task });
}
