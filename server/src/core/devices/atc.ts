import type { Pasid } from '../base/index.ts';

/** One cached translation: a 4 KiB page with its rights. */
interface AtcEntry {
  readonly page: number;
  readonly access: number;
}

/** How many translations one function caches; the oldest goes first. A real ATC is of this order. */
export const ATC_ENTRIES_MAX = 1024;

/**
 * Address Translation Cache of a function (PCIe §10.3): keyed by PASID and IOVA page number (an exact double).
 * The function owns it; the translation agent only sends Invalidate Requests.
 */
export class Atc {
  readonly #byPasid = new Map<Pasid, Map<number, AtcEntry>>();
  #entries = 0;

  get entries(): number {
    return this.#entries;
  }

  /** The physical page, or -1 where no entry gives all of `access`. */
  lookup(pasid: Pasid, iovaPage: number, access: number): number {
    const entry = this.#byPasid.get(pasid)?.get(iovaPage);
    return entry !== undefined && (entry.access & access) === access ? entry.page : -1;
  }

  install(pasid: Pasid, iovaPage: number, page: number, access: number): void {
    const pages = this.#byPasid.get(pasid) ?? new Map<number, AtcEntry>();
    this.#byPasid.set(pasid, pages);
    if (!pages.has(iovaPage)) {
      if (this.#entries >= ATC_ENTRIES_MAX) this.#evictOldest();
      this.#entries++;
    }
    pages.set(iovaPage, { page, access });
  }

  /**
   * Drops every entry that overlaps. Without a PASID: entries made without one in the range, and every entry made with any
   * PASID at all addresses (PCIe §10.3.8). `pages` Infinity is everything.
   */
  invalidate(pasid: Pasid, none: Pasid, firstPage: number, pages: number): number {
    let dropped = 0;
    for (const [owner, entries] of this.#byPasid) {
      if (pasid !== none && owner !== pasid) continue;
      const all = pages === Infinity || (pasid === none && owner !== none);
      for (const iovaPage of entries.keys()) {
        if (!all && (iovaPage < firstPage || iovaPage >= firstPage + pages)) continue;
        entries.delete(iovaPage);
        dropped++;
      }
    }
    this.#entries -= dropped;
    return dropped;
  }

  clear(): void {
    this.#byPasid.clear();
    this.#entries = 0;
  }

  #evictOldest(): void {
    for (const entries of this.#byPasid.values()) {
      const oldest = entries.keys().next();
      if (oldest.done === true) continue;
      entries.delete(oldest.value);
      this.#entries--;
      return;
    }
  }
}
