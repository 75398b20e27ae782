/**
 * The translation agent's answers to Translation Requests of functions (PCIe §10.2). What is granted goes into the grant shadow.
 *
 * A function's Smallest Translation Unit is a matter between it and software; hardware's agent is not told, and software sets it to no more than the smallest
 * page (Linux: pci_enable_ats). Here the agent knows it, so that no completion has less: a unit of several mappings is one range where they are contiguous and
 * its physical address is aligned, with the rights that all of them have. Where they are not, the unit is answered R=W=0: no entry could be true of it.
 */
import { ACCESS, INTERRUPT_PAGES, NO_PASID, TRANSLATION, alignedDown, translationHigh, translationLow } from '../base/index.ts';
import type { StateFields, Trace, TranslationEntry } from '../base/index.ts';
import type { Context } from './address-space.ts';
import { fieldsOf, hasInterrupts, isUntranslatedOnly, pagesLg2Granted, refusalOf, rightsGranted } from './ats-answers.ts';
import { STATUS, WAITING } from './status.ts';

const PERFORMED = STATUS.performed;
const NOT_PERMITTED = STATUS['not-permitted'];
const NO_ACCESS = STATUS['no-access'];
/** Mappings that one unit may be put together of: a table of the last level. Else a unit of 8 TiB could be 2^31 walks. */
const UNIT_MAPPINGS_MAX = 512;
const INTERRUPTS_LG2 = Math.log2(INTERRUPT_PAGES.count);
const WORD = 2 ** 32;
const PAGES_END = 2 ** 52;

/** Translations as any request has them, and what the last one found. */
export interface Walks {
  readonly resultPage: number;
  readonly resultAccess: number;
  readonly resultPagesLg2: number;
  readonly resultGlobal: boolean;
  readonly resultSnooped: boolean;
  translate(context: number, low: number, high: number, access: number): number;
  translatePrivileged(context: number, low: number, high: number, access: number): number;
}

/** What a request asks. */
export interface Ask {
  readonly context: Context;
  readonly handle: number;
  /** With the write bit: NW=0. */
  readonly access: number;
  readonly privileged: boolean;
  /** log2 of the pages of the function's Smallest Translation Unit. */
  readonly unitLg2: number;
  /** How many units from the first on: Length, in units of 2 DW. */
  readonly count: number;
}

/** One entry of a completion. */
interface Range {
  /** The first page, and the physical one that it stands for. */
  readonly iovaPage: number;
  readonly page: number;
  readonly lg2: number;
  /** ACCESS bits, and bits of {@link TRANSLATION}. */
  readonly rights: number;
  readonly fields: number;
}

export interface RequestPorts {
  readonly trace: Trace;
  readonly now: () => number;
  /** Untranslated writes to INTERRUPT_PAGES are interrupts, and nothing else may go there; absent: true. */
  readonly takesInterrupts?: boolean;
}

export class TranslationRequests {
  /** Of the last request `performed`: the entries of its completion, one or more. */
  completion: readonly TranslationEntry[] = [];
  /** How many grants have been made in the life of the machine. */
  grantsMade = 0;
  readonly #walks: Walks;
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #takesInterrupts: boolean;

  constructor(walks: Walks, ports: RequestPorts) {
    this.#walks = walks;
    this.#trace = ports.trace;
    this.#now = ports.now;
    this.#takesInterrupts = ports.takesInterrupts ?? true;
  }

  state(fields: StateFields): void {
    this.grantsMade = fields.field('grantsMade', this.grantsMade);
  }

  /** `Translation.translationRequest`, with the context of that handle. */
  answer(ask: Ask, page: number): number {
    if (!ask.context.ats) return STATUS['ats-forbidden'];
    const first = this.#rangeAt(ask, page);
    if (typeof first === 'number') return first;
    const ranges = ask.count > 1 ? this.#rangesFrom(ask, page, first) : [first];
    // Nothing is granted before all of it is found: the request may have to wait for page tables, and is answered from newer ones then.
    if (ranges === WAITING) return WAITING;
    const granted = ranges.findIndex((range, index) => !this.#grant(ask.context, range, index === 0 ? page : range.iovaPage));
    if (granted === 0) return STATUS['completer-abort'];
    this.completion = (granted < 0 ? ranges : ranges.slice(0, granted)).map(entryOf);
    return PERFORMED;
  }

  /**
   * The entries of one completion are of consecutive ranges and have one size. They end before a range that has no access or is smaller, and with the last
   * unit that was asked for: fewer entries than that are allowed.
   */
  #rangesFrom(ask: Ask, page: number, first: Range): readonly Range[] | typeof WAITING {
    const { lg2 } = first;
    const end = Math.min(alignedDown(page, ask.unitLg2) + ask.count * 2 ** ask.unitLg2, PAGES_END);
    const ranges = [first];
    for (let next = first.iovaPage + 2 ** lg2; next < end; next += 2 ** lg2) {
      const range = this.#rangeAt(ask, next);
      if (range === WAITING) return WAITING;
      if (typeof range === 'number' || range.lg2 < lg2) break;
      ranges.push({ ...range, iovaPage: next, page: range.page + (next - range.iovaPage), lg2 });
    }
    return ranges;
  }

  /** False: no room for another grant. What only untranslated requests may use is no grant. */
  #grant({ bdf, pasid, grants }: Context, { iovaPage, page, lg2, rights, fields }: Range, asked: number): boolean {
    if ((fields & TRANSLATION.untranslatedOnly) !== 0) return true;
    if (!grants.add(pasid, iovaPage, page, rights, this.#now(), this.grantsMade + 1, lg2)) return false;
    this.grantsMade++;
    this.#trace.emit('ats-granted', bdf, asked, page + (asked - iovaPage), rights);
    return true;
  }

  /** The range in which a page is, or the status of a request that is not granted it. */
  #rangeAt(ask: Ask, page: number): Range | number {
    const { context, access, privileged, unitLg2 } = ask;
    const { pasid } = context;
    if (this.#takesInterrupts && isUntranslatedOnly(pasid, page)) return interrupts(page, access, unitLg2);
    const status = this.#walk(ask, page);
    if (status !== PERFORMED) return refusalOf(status);
    const { resultPage, resultAccess, resultPagesLg2 } = this.#walks;
    const rights = rightsGranted(resultAccess, access);
    if (rights === ACCESS.none) return NO_ACCESS;
    const lg2 = this.#takesInterrupts ? pagesLg2Granted(pasid, page, resultPagesLg2) : resultPagesLg2;
    if (lg2 < unitLg2) return this.#unitAt(ask, alignedDown(page, unitLg2));
    const fields = fieldsOf(rights, privileged, this.#isGlobal(context), this.#walks.resultSnooped);
    return { iovaPage: alignedDown(page, lg2), page: alignedDown(resultPage, lg2), lg2, rights, fields };
  }

  /** A unit of several mappings, from its first page on. */
  #unitAt(ask: Ask, first: number): Range | number {
    const { context, access, privileged, unitLg2 } = ask;
    const end = first + 2 ** unitLg2;
    if (this.#takesInterrupts && hasInterrupts(context.pasid, first, 2 ** unitLg2)) return NO_ACCESS;
    let physical = 0;
    let rights: number = ACCESS.readWrite | ACCESS.execute;
    let global = true;
    let snooped = false;
    let mappings = 0;
    for (let page = first; page < end;) {
      if (mappings++ === UNIT_MAPPINGS_MAX) return NO_ACCESS;
      const status = this.#walk(ask, page);
      if (status !== PERFORMED) return refusalOf(status);
      const { resultPage, resultAccess, resultPagesLg2 } = this.#walks;
      if (page === first) physical = resultPage;
      if (resultPage !== physical + (page - first) || physical !== alignedDown(physical, unitLg2)) return NO_ACCESS;
      rights &= rightsGranted(resultAccess, access);
      global &&= this.#isGlobal(context);
      snooped ||= this.#walks.resultSnooped;
      page = alignedDown(page, resultPagesLg2) + 2 ** resultPagesLg2;
    }
    if (rights === ACCESS.none) return NO_ACCESS;
    return { iovaPage: first, page: physical, lg2: unitLg2, rights, fields: fieldsOf(rights, privileged, global, snooped) };
  }

  /** The write that the function announces is one that the tables' dirty flag is set for, where there is one: it may write without asking again. */
  #walk({ context, handle, access, privileged }: Ask, page: number): number {
    const walks = this.#walks;
    const low = page | 0;
    const high = Math.floor(page / WORD);
    const marks = context.space?.tables?.marksWrites === true && (access & ACCESS.write) !== 0;
    const rights = marks ? ACCESS.write : ACCESS.none;
    const status = privileged ? walks.translatePrivileged(handle, low, high, rights) : walks.translate(handle, low, high, rights);
    if (status !== NOT_PERMITTED || !marks) return status;
    return privileged ? walks.translatePrivileged(handle, low, high, ACCESS.none) : walks.translate(handle, low, high, ACCESS.none);
  }

  #isGlobal({ pasid }: Context): boolean {
    return pasid !== NO_PASID && this.#walks.resultGlobal;
  }
}

/** Only writes make interrupts, and a unit is either all for them or not granted. */
function interrupts(page: number, access: number, unitLg2: number): Range | number {
  if ((access & ACCESS.write) === 0 || unitLg2 > INTERRUPTS_LG2) return NO_ACCESS;
  const first = alignedDown(page, unitLg2);
  return { iovaPage: first, page: first, lg2: unitLg2, rights: ACCESS.write, fields: TRANSLATION.write | TRANSLATION.untranslatedOnly };
}

function entryOf({ page, lg2, fields }: Range): TranslationEntry {
  return { low: translationLow(page, lg2, fields), high: translationHigh(page, lg2) };
}
