/** What the machine's alarms do when they ring. */
import type { Alarm } from '../base/index.ts';
import { sendGathered } from './ats/invalidation.ts';
import { advance } from './dma/dma-ledger.ts';
import { holdEnds } from './dma/hold-ends.ts';
import { flushQueueTimeout } from './domains/dma-flush.ts';
import { functionNumbered } from './function-state.ts';
import { leaveDeadline } from './hierarchy/leave.ts';
import { resumePlug } from './hierarchy/plug.ts';
import { resumeHostAccess } from './memory-commands.ts';
import { modelAlarmRang } from './model-ports.ts';
import type { Parts } from './parts.ts';
import { accessTimedOut } from './remote/accesses.ts';
import { functionMayBeReady } from './reset/hardware-reset.ts';
import { prepareDeadline } from './reset/prepare.ts';
import { resumeReset } from './reset/reset.ts';
import type { FunctionState } from './state.ts';

/**
 * Rings an alarm that has been taken. Holds that end in the same instant end with it: each function's ledger is gone through once, and not for
 * every request.
 */
export function ring(m: Parts, alarm: Alarm): void {
  switch (alarm.owner) {
    case 'request':
      endHolds(m, alarm);
      break;
    case 'invalidation':
      m.invalidations.timeout(alarm.id);
      break;
    case 'flush-queue': {
      const domain = m.iommu?.domain(alarm.id);
      if (domain !== undefined) flushQueueTimeout(m, domain);
      break;
    }
    case 'gathered': {
      const fn = functionNumbered(m, alarm.id);
      if (fn !== undefined) sendGathered(m, fn);
      break;
    }
    case 'function': {
      const fn = functionNumbered(m, alarm.id);
      if (fn !== undefined) functionMayBeReady(m, fn);
      break;
    }
    case 'model':
      modelAlarmRang(m, alarm);
      break;
    case 'operation': {
      const operation = m.operations.get(alarm.id);
      if (operation?.kind === 'prepare') prepareDeadline(m, operation);
      else if (operation?.kind === 'reset') resumeReset(m, operation);
      else if (operation?.kind === 'leave') leaveDeadline(m, operation);
      else if (operation?.kind === 'plug') resumePlug(m, operation);
      else if (operation?.kind === 'host-access') resumeHostAccess(m, operation);
      else if (operation?.kind === 'peer-access') accessTimedOut(m, operation);
      break;
    }
  }
}

function endHolds(m: Parts, first: Alarm): void {
  const released = new Set<FunctionState>();
  for (let alarm: Alarm | undefined = first; alarm !== undefined; alarm = takeSame(m, first)) {
    const request = m.timedHolds.get(alarm.id);
    if (request === undefined) continue;
    holdEnds(m, request);
    released.add(request.fn);
  }
  for (const fn of released) advance(m, fn);
}

/** The next alarm where it ends a hold in the same instant. */
function takeSame(m: Parts, { atNs }: Alarm): Alarm | undefined {
  const next = m.clock.peek();
  return next?.owner === 'request' && next.atNs === atNs ? m.clock.take(atNs) : undefined;
}
