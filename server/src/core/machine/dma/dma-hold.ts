/** Requests that something holds at a point, for a time or until they are let go. */
import { AT } from '../../base/index.ts';
import { completionTimeoutNs } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import { INJECTED, type Request } from '../state.ts';

/** True when the request is held at this point; notes it, and sets the alarm that releases it. */
export function stopsAt(m: Parts, request: Request, point: Request['holdAt']): boolean {
  if (request.holdAt !== point) return false;
  request.holdAt = undefined;
  if (point !== undefined)
    m.trace.emit('dma-held', request.fn.bdf, request.id, POINT_INDEX[point], request.translated ? AT.translated : AT.untranslated);
  const { task } = request;
  if (task !== undefined && (task.injected & INJECTED.malformed) !== 0) m.errors.push({ kind: 'malformed', task });
  hold(m, request, request.holdNs, ((request.task?.injected ?? 0) & INJECTED.late) !== 0);
  return true;
}

/** Holds it for that time, 0 for ever; what the function waits for with its Completion Timeout running, no longer than that. */
export function hold(m: Parts, request: Request, ns: number, timed: boolean): void {
  request.held = true;
  const limit = timed && !request.posted ? completionTimeoutNs(request.fn.config) : 0;
  request.timesOut = limit > 0 && (ns === 0 || limit < ns);
  request.lateNs = request.timesOut && ns > 0 ? ns - limit : 0;
  const after = request.timesOut ? limit : ns;
  if (after === 0) return;
  request.holdAlarm = m.clock.set(after, 'request', request.id);
  m.timedHolds.set(request.id, request);
}

const POINT_INDEX = { issued: 0, translated: 1, performed: 2 } as const;

/** Lets a held request go on. */
export function unhold(m: Parts, request: Request): void {
  if (!request.held) return;
  request.held = false;
  request.timesOut = false;
  m.trace.emit('dma-released', request.fn.bdf, request.id);
  if (request.holdAlarm !== 0) {
    m.clock.cancel(request.holdAlarm);
    m.timedHolds.delete(request.id);
    request.holdAlarm = 0;
  }
}
