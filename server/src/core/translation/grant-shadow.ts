/**
 * What the translation agent has granted to each function's ATC and not yet taken back: the shadow that tells a legitimate translated
 * request from a stale one. Hardware has no such table; a page that a function still uses after its grant ended is the
 * memory corruption that resets are fenced against.
 */
import { NO_PASID, PageRanges, Ring, alignedDown } from '../base/index.ts';
import type { Bdf, StateFields } from '../base/index.ts';

/** Why a grant ended. `timed-out`: its invalidation was never answered; `context`: the device context changed. */
export type RevokedWhy = 'live' | 'invalidated' | 'timed-out' | 'reset' | 'context';

/** A range that a function was told of, and what became of that. */
export interface GrantHistory {
  readonly pasid: number;
  /** The first page of the range, and the physical one that it stands for. */
  readonly iovaPage: number;
  readonly page: number;
  readonly pages: number;
  /** ACCESS bits. */
  readonly access: number;
  readonly grantedNs: number;
  /** -1 while it is live. */
  readonly revokedNs: number;
  readonly why: RevokedWhy;
}

/** Live grants of one function: 1 GiB where all are of 4 KiB, some 60 MB here. Keeps one function from taking the process's memory. */
export const GRANTS_MAX = 1 << 18;
/** Ended grants that a function's history keeps. */
const HISTORY_MAX = 256;
/** Grants in one answer about a page. */
const SHOWN_MAX = 16;

interface Grant {
  readonly pasid: number;
  readonly iovaPage: number;
  readonly page: number;
  readonly pagesLg2: number;
  readonly access: number;
  grantedNs: number;
  /** Its place among all grants of the machine, renewed when the same grant is made again. */
  sequence: number;
  /** Other live grants of the same range of IOVAs, and of the same physical range. */
  nextAtIova: Grant | undefined;
  nextAtPage: Grant | undefined;
  previousAtPage: Grant | undefined;
}

/** When and why grants end, and which: those with a sequence number of at most `upTo`. */
export interface Ending {
  readonly nowNs: number;
  readonly why: RevokedWhy;
  readonly upTo: number;
}

export class FunctionGrants {
  readonly #byPasid = new Map<number, PageRanges<Grant>>();
  readonly #byPage = new PageRanges<Grant>();
  readonly #ended = new Ring<GrantHistory>(HISTORY_MAX);
  #live = 0;

  get live(): number {
    return this.#live;
  }

  /**
   * Notes a grant of the 2^`pagesLg2` pages, aligned by that, in which these two are; the same one again is renewed. False at {@link GRANTS_MAX}.
   */
  add(pasid: number, iovaPage: number, page: number, access: number, nowNs: number, sequence: number, pagesLg2 = 0): boolean {
    let ranges = this.#byPasid.get(pasid);
    const atIova = ranges?.at(iovaPage, pagesLg2);
    const first = alignedDown(page, pagesLg2);
    for (let grant = atIova; grant !== undefined; grant = grant.nextAtIova) {
      if (grant.page !== first || grant.access !== access) continue;
      grant.grantedNs = nowNs;
      grant.sequence = sequence;
      return true;
    }
    if (this.#live === GRANTS_MAX) return false;
    if (ranges === undefined) {
      ranges = new PageRanges<Grant>();
      this.#byPasid.set(pasid, ranges);
    }
    const atPage = this.#byPage.at(first, pagesLg2);
    const links = { nextAtIova: atIova, nextAtPage: atPage, previousAtPage: undefined };
    const range = { iovaPage: alignedDown(iovaPage, pagesLg2), page: first, pagesLg2 };
    const grant: Grant = { pasid, ...range, access, grantedNs: nowNs, sequence, ...links };
    if (atPage !== undefined) atPage.previousAtPage = grant;
    ranges.set(iovaPage, pagesLg2, grant);
    this.#byPage.set(first, pagesLg2, grant);
    this.#live++;
    return true;
  }

  /** True when one live grant names the physical page with all these rights. */
  covers(page: number, access: number): boolean {
    for (const pagesLg2 of this.#byPage.sizesLg2) {
      for (let grant = this.#byPage.at(page, pagesLg2); grant !== undefined; grant = grant.nextAtPage) {
        if ((grant.access & access) === access) return true;
      }
    }
    return false;
  }

  /**
   * Ends the grants that an invalidation names, and returns how many: each as a whole that has a page in the range. Without a PASID: those made without
   * one in the range, and all that were made with any (PCIe §10.3.8). `pages` Infinity: all of that PASID.
   */
  revoke(pasid: number, firstPage: number, pages: number, ending: Ending): number {
    const before = this.#live;
    if (pasid === NO_PASID) {
      for (const other of this.#byPasid.keys()) {
        if (other !== NO_PASID) this.#revokeRange(other, 0, Infinity, ending);
      }
    }
    this.#revokeRange(pasid, firstPage, pages, ending);
    return before - this.#live;
  }

  /** The last grants that named a physical page: live ones first, then ended ones that are still remembered; each newest first. */
  history(page: number): readonly GrantHistory[] {
    const found: GrantHistory[] = [];
    for (const pagesLg2 of this.#byPage.sizesLg2) {
      let grant = this.#byPage.at(page, pagesLg2);
      for (let shown = 0; grant !== undefined && shown < SHOWN_MAX; shown++, grant = grant.nextAtPage) {
        found.push(historyOf(grant, -1, 'live'));
      }
    }
    found.sort((a, b) => b.grantedNs - a.grantedNs);
    const ended = [...this.#ended.values()].filter((grant) => page >= grant.page && page < grant.page + grant.pages);
    return [...found, ...ended.reverse()].slice(0, SHOWN_MAX);
  }

  state(fields: StateFields): void {
    fields.keep('byPasid', this.#byPasid);
    fields.keep('byPage', this.#byPage);
    fields.keep('ended', this.#ended);
    this.#live = fields.field('live', this.#live);
  }

  #revokeRange(pasid: number, firstPage: number, pages: number, ending: Ending): void {
    const granted = this.#byPasid.get(pasid);
    if (granted === undefined) return;
    for (const grant of granted.overlapping(firstPage, pages)) this.#end(granted, grant, ending);
    if (granted.size === 0) this.#byPasid.delete(pasid);
  }

  /** Ends the grants of one range of IOVAs that are old enough. */
  #end(granted: PageRanges<Grant>, newest: Grant, { nowNs, why, upTo }: Ending): void {
    let kept: Grant | undefined;
    let grant: Grant | undefined = newest;
    while (grant !== undefined) {
      const next: Grant | undefined = grant.nextAtIova;
      if (grant.sequence > upTo) {
        grant.nextAtIova = kept;
        kept = grant;
      } else {
        this.#unlink(grant);
        this.#ended.push(historyOf(grant, nowNs, why));
        this.#live--;
      }
      grant = next;
    }
    if (kept === undefined) granted.delete(newest.iovaPage, newest.pagesLg2);
    else granted.set(newest.iovaPage, newest.pagesLg2, kept);
  }

  #unlink(grant: Grant): void {
    const { nextAtPage: next, previousAtPage: previous } = grant;
    if (next !== undefined) next.previousAtPage = previous;
    if (previous !== undefined) previous.nextAtPage = next;
    else if (next !== undefined) this.#byPage.set(grant.page, grant.pagesLg2, next);
    else this.#byPage.delete(grant.page, grant.pagesLg2);
  }
}

/** One {@link FunctionGrants} for each function that ever got a grant. */
export class GrantShadow {
  readonly #functions = new Map<Bdf, FunctionGrants>();

  of(bdf: Bdf): FunctionGrants {
    let grants = this.#functions.get(bdf);
    if (grants === undefined) {
      grants = new FunctionGrants();
      this.#functions.set(bdf, grants);
    }
    return grants;
  }

  state(fields: StateFields): void {
    fields.keep('functions', this.#functions);
  }
}

function historyOf(grant: Grant, revokedNs: number, why: RevokedWhy): GrantHistory {
  const { pasid, iovaPage, page, pagesLg2, access, grantedNs } = grant;
  return { pasid, iovaPage, page, pages: 2 ** pagesLg2, access, grantedNs, revokedNs, why };
}
