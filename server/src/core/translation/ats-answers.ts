/** What a Translation Completion says of what the tables have (PCIe §10.2.3): pure functions. */
import { ACCESS, INTERRUPT_PAGES, NO_PASID, TRANSLATION, alignedDown } from '../base/index.ts';
import { STATUS, WAITING } from './status.ts';

const { read, write, execute } = ACCESS;

/** What a translation request whose translation ended so is answered. */
export function refusalOf(status: number): number {
  if (status === STATUS['external-abort'] || status === STATUS['reserved-bits']) return STATUS['completer-abort'];
  return status === WAITING ? WAITING : STATUS['no-access'];
}

/** Whether only untranslated requests may go there: an ATC that used an address for it would write to memory instead of interrupting. */
export function isUntranslatedOnly(pasid: number, page: number): boolean {
  return pasid === NO_PASID && page >= INTERRUPT_PAGES.first && page < INTERRUPT_PAGES.first + INTERRUPT_PAGES.count;
}

/** What of the rights found is granted to a function that asks for these. Read is granted unasked; write needs NW clear, and Exe Execute Requested. */
export function rightsGranted(found: number, asked: number): number {
  const rights = found & (asked | read);
  // Exe is set only with R.
  return (rights & read) === 0 ? rights & ~execute : rights;
}

/**
 * log2 of the pages of the range that is granted: of the mapping, and where other pages in it are for untranslated requests only, of the largest part of it
 * without them.
 */
export function pagesLg2Granted(pasid: number, page: number, mappingLg2: number): number {
  let lg2 = mappingLg2;
  while (lg2 > 0 && hasInterrupts(pasid, alignedDown(page, lg2), 2 ** lg2)) lg2--;
  return lg2;
}

/** Whether untranslated requests only may go to some of these pages. */
export function hasInterrupts(pasid: number, first: number, pages: number): boolean {
  return pasid === NO_PASID && first < INTERRUPT_PAGES.first + INTERRUPT_PAGES.count && first + pages > INTERRUPT_PAGES.first;
}

/** The fields of the entry for these rights: bits of {@link TRANSLATION}. `snooped`: N, as the tables demand; clear: the function decides. */
export function fieldsOf(rights: number, privileged: boolean, global: boolean, snooped: boolean): number {
  return (
    ((rights & read) === 0 ? 0 : TRANSLATION.read) |
    ((rights & write) === 0 ? 0 : TRANSLATION.write) |
    ((rights & execute) === 0 ? 0 : TRANSLATION.execute) |
    (privileged ? TRANSLATION.privileged : 0) |
    (global ? TRANSLATION.global : 0) |
    (snooped ? TRANSLATION.snooped : 0)
  );
}
