import { TRANSLATION, pageNumber } from '../../base/index.ts';
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import type { DmaTask } from '../state.ts';

/** Instead of a page: the translation agent wants an untranslated request there. Less than minus any status. */
export const UNTRANSLATED = -1000;

/**
 * The page that the function's ATC has, after a translation request where it has none; UNTRANSLATED, or minus the status when that fails, or minus
 * WAITING. Of one whose peer keeps the ATC the address is physical already.
 */
export function translatedPage(m: Parts, task: DmaTask, pl: number, ph: number, access: number): number {
  const { atc } = task.fn.model;
  if (atc === undefined || !task.fn.config.atsEnabled) return -STATUS['ats-forbidden'];
  const iovaPage = pageNumber(pl, ph);
  if (task.fn.claim?.ownAtc === true) return iovaPage;
  // What is granted to privileged mode is for it alone (PCIe §10.2.3): this ATC keeps none of it.
  const cached = task.privileged ? -1 : atc.lookup(task.pasid, iovaPage, access);
  if (cached >= 0) return cached;
  const { translation } = m;
  const status = translation.translationRequest(task.context, pl, ph, access, task.privileged, task.fn.config.unitPagesLg2);
  if (status !== STATUS.performed) return -status;
  if ((translation.resultAccess & access) !== access) return -STATUS['no-access'];
  const { completion } = translation;
  if (!task.privileged) atc.install(task.pasid, iovaPage, completion);
  return (completion[0]!.low & TRANSLATION.untranslatedOnly) === 0 ? translation.resultPage : UNTRANSLATED;
}
