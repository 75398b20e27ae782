/** A host reports a function broken: it is in quarantine from then on. */
import { formatBdf } from '../../base/index.ts';
import { applyEffects } from '../ats/invalidation.ts';
import { answerPageRequests } from '../ats/page-faults.ts';
import type { ReportBroken } from '../command.ts';
import { abortLedger } from '../dma/dma-drain.ts';
import { deviceOf } from '../domains/iommu-commands.ts';
import type { Parts } from '../parts.ts';
import { setGate } from '../reset/window.ts';
import type { FunctionState, Origin } from '../state.ts';

/**
 * Without the group mutex, which a prepare of that very function may hold for as long as it is silent. What it had in flight is dropped. Its current
 * window, if it has one, ends in quarantine, unless a reset is triggered in it after this.
 */
export function reportBroken(m: Parts, origin: Origin, fn: FunctionState, { bdf }: ReportBroken): void {
  const device = deviceOf(m, bdf);
  if (!m.strict || m.iommu === undefined) {
    m.outbox.refuse(origin, 'EOPNOTSUPP', `${m.spec.behaviour} has no quarantine: only strict has`, 'function');
    return;
  }
  const { blocked, physical, group } = device;
  const shut = blocked && physical === group.blockingDomain;
  const known = fn.needsReset && blocked;
  fn.needsReset = true;
  setGate(m, fn, false);
  applyEffects(m, undefined, m.iommu.reportBroken(device));
  if (!shut) {
    answerPageRequests(m, fn);
    abortLedger(m, fn);
  }
  if (!known) m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} was reported broken; it stays blocked until a reset of it succeeds`);
  m.outbox.ok(origin);
}
