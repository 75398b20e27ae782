import { NO_PASID, PageRanges, TRANSLATION, alignedDown, translationAccess, translationPage, translationPagesLg2 } from '../base/index.ts';
import type { Pasid, StateFields, TranslationEntry } from '../base/index.ts';

/** One cached translation: a range of pages, with the rights that every page of it has. */
interface AtcEntry {
  /** The first page of the range, and the physical one that it stands for. */
  readonly iovaPage: number;
  readonly page: number;
  readonly pagesLg2: number;
  readonly access: number;
}

/** How many translations one function caches; the oldest goes first. A real ATC is of this order. */
export const ATC_ENTRIES_MAX = 1024;

/**
 * Address Translation Cache of a function (PCIe §10.3): keyed by PASID and IOVA page number (an exact double), whatever the size of the translation.
 * The function owns it; the translation agent only sends Invalidate Requests.
 *
 * Translations for privileged mode are not for it. One whose range is for untranslated requests only is not kept: the function asks again.
 */
export class Atc {
  readonly #byPasid = new Map<Pasid, PageRanges<AtcEntry>>();
  /** Those that serve every PASID, whichever they were made with. */
  readonly #global = new PageRanges<AtcEntry>();
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }

  /** The physical page, or -1 where no entry gives all of `access`. */
  lookup(pasid: Pasid, iovaPage: number, access: number): number {
    const ranges = this.#byPasid.get(pasid);
    const page = ranges === undefined ? -1 : pageIn(ranges, iovaPage, access);
    return page < 0 && pasid !== NO_PASID ? pageIn(this.#global, iovaPage, access) : page;
  }

  /** Keeps the entries of a Translation Completion that this page was asked for: of consecutive ranges, the first with that page in it. */
  install(pasid: Pasid, iovaPage: number, completion: readonly TranslationEntry[]): void {
    let page = iovaPage;
    for (const { low, high } of completion) {
      this.#keep(pasid, page, low, high);
      page += 2 ** translationPagesLg2(low, high);
    }
  }

  #keep(pasid: Pasid, iovaPage: number, low: number, high: number): void {
    if ((low & TRANSLATION.untranslatedOnly) !== 0) return;
    const ranges = (low & TRANSLATION.global) === 0 ? this.#rangesOf(pasid) : this.#global;
    const pagesLg2 = translationPagesLg2(low, high);
    if (ranges.at(iovaPage, pagesLg2) === undefined) {
      if (this.#entries >= ATC_ENTRIES_MAX) this.#evictOldest();
      this.#entries++;
    }
    const access = translationAccess(low);
    ranges.set(iovaPage, pagesLg2, { iovaPage: alignedDown(iovaPage, pagesLg2), page: translationPage(low, high), pagesLg2, access });
  }

  /**
   * Drops every entry that overlaps, larger or smaller; one that serves every PASID by a request for any. Without a PASID: entries made without one in the
   * range, and every entry made with any PASID at all addresses (PCIe §10.3.8). `pages` Infinity is everything.
   */
  invalidate(pasid: Pasid, none: Pasid, firstPage: number, pages: number): number {
    let dropped = drop(this.#global, firstPage, pasid === none ? Infinity : pages);
    for (const [owner, ranges] of this.#byPasid) {
      if (pasid !== none && owner !== pasid) continue;
      dropped += drop(ranges, firstPage, pasid === none && owner !== none ? Infinity : pages);
    }
    this.#entries -= dropped;
    return dropped;
  }

  clear(): void {
    drop(this.#global, 0, Infinity);
    this.#byPasid.clear();
    this.#entries = 0;
  }

  state(fields: StateFields): void {
    fields.keep('byPasid', this.#byPasid);
    fields.keep('global', this.#global);
    this.#entries = fields.field('entries', this.#entries);
  }

  #rangesOf(pasid: Pasid): PageRanges<AtcEntry> {
    let ranges = this.#byPasid.get(pasid);
    if (ranges === undefined) this.#byPasid.set(pasid, (ranges = new PageRanges()));
    return ranges;
  }

  #evictOldest(): void {
    for (const ranges of [...this.#byPasid.values(), this.#global]) {
      const oldest = ranges.values().next();
      if (oldest.done === true) continue;
      ranges.delete(oldest.value.iovaPage, oldest.value.pagesLg2);
      this.#entries--;
      return;
    }
  }
}

function pageIn(ranges: PageRanges<AtcEntry>, iovaPage: number, access: number): number {
  for (const pagesLg2 of ranges.sizesLg2) {
    const entry = ranges.at(iovaPage, pagesLg2);
    if (entry !== undefined && (entry.access & access) === access) return entry.page + (iovaPage - entry.iovaPage);
  }
  return -1;
}

/** Returns how many it took out. */
function drop(ranges: PageRanges<AtcEntry>, firstPage: number, pages: number): number {
  const entries = ranges.overlapping(firstPage, pages);
  for (const { iovaPage, pagesLg2 } of entries) ranges.delete(iovaPage, pagesLg2);
  return entries.length;
}
