/**
 * What the translation agent has granted to each function's ATC and not yet taken back: the shadow that tells a legitimate translated
 * request from a stale one. Hardware has no such table; a page that a function still uses after its grant ended is the
 * memory corruption that resets are fenced against.
 */
import { NO_PASID, Ring } from '../base/index.ts';
import type { Bdf } from '../base/index.ts';

/** Why a grant ended. `timed-out`: its invalidation was never answered; `context`: the device context changed. */
export type RevokedWhy = 'live' | 'invalidated' | 'timed-out' | 'reset' | 'context';

/** One page that a function was told of, and what became of that. */
export interface GrantHistory {
  readonly pasid: number;
  readonly iovaPage: number;
  /** Physical page. */
  readonly page: number;
  readonly pages: number;
  /** ACCESS bits. */
  readonly access: number;
  readonly grantedNs: number;
  /** -1 while it is live. */
  readonly revokedNs: number;
  readonly why: RevokedWhy;
}

/** Live grants of one function: 1 GiB in pages, some 60 MB here. Keeps one function from taking the process's memory. */
export const GRANTS_MAX = 1 << 18;
/** Ended grants that a function's history keeps. */
const HISTORY_MAX = 256;
/** Grants in one answer about a page. */
const SHOWN_MAX = 16;

interface Grant {
  readonly pasid: number;
  readonly iovaPage: number;
  readonly page: number;
  readonly access: number;
  grantedNs: number;
  /** Its place among all grants of the machine, renewed when the same grant is made again. */
  sequence: number;
  /** Other live grants of the same IOVA page, and of the same physical page. */
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
  readonly #byPasid = new Map<number, Map<number, Grant>>();
  readonly #byPage = new Map<number, Grant>();
  readonly #ended = new Ring<GrantHistory>(HISTORY_MAX);
  #live = 0;

  get live(): number {
    return this.#live;
  }

  /** Notes a grant; the same one again is renewed. False at {@link GRANTS_MAX}. */
  add(pasid: number, iovaPage: number, page: number, access: number, nowNs: number, sequence: number): boolean {
    let pages = this.#byPasid.get(pasid);
    const atIova = pages?.get(iovaPage);
    for (let grant = atIova; grant !== undefined; grant = grant.nextAtIova) {
      if (grant.page !== page || grant.access !== access) continue;
      grant.grantedNs = nowNs;
      grant.sequence = sequence;
      return true;
    }
    if (this.#live === GRANTS_MAX) return false;
    if (pages === undefined) {
      pages = new Map<number, Grant>();
      this.#byPasid.set(pasid, pages);
    }
    const atPage = this.#byPage.get(page);
    const links = { nextAtIova: atIova, nextAtPage: atPage, previousAtPage: undefined };
    const grant: Grant = { pasid, iovaPage, page, access, grantedNs: nowNs, sequence, ...links };
    if (atPage !== undefined) atPage.previousAtPage = grant;
    pages.set(iovaPage, grant);
    this.#byPage.set(page, grant);
    this.#live++;
    return true;
  }

  /** True when one live grant names the physical page with all these rights. */
  covers(page: number, access: number): boolean {
    for (let grant = this.#byPage.get(page); grant !== undefined; grant = grant.nextAtPage) {
      if ((grant.access & access) === access) return true;
    }
    return false;
  }

  /**
   * Ends the grants that an invalidation names, and returns how many. Without a PASID: those made without one in the range, and all that were
   * made with any (PCIe §10.3.8). `pages` Infinity: all of that PASID.
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
    for (let grant = this.#byPage.get(page); grant !== undefined && found.length < SHOWN_MAX; grant = grant.nextAtPage) {
      found.push(historyOf(grant, -1, 'live'));
    }
    const ended = [...this.#ended.values()].filter((grant) => grant.page === page);
    return [...found, ...ended.reverse()].slice(0, SHOWN_MAX);
  }

  #revokeRange(pasid: number, firstPage: number, pages: number, ending: Ending): void {
    const granted = this.#byPasid.get(pasid);
    if (granted === undefined) return;
    if (pages < granted.size) {
      for (let page = firstPage; page < firstPage + pages; page++) this.#end(granted, page, ending);
    } else {
      for (const page of granted.keys()) {
        if (pages === Infinity || (page >= firstPage && page < firstPage + pages)) this.#end(granted, page, ending);
      }
    }
    if (granted.size === 0) this.#byPasid.delete(pasid);
  }

  /** Ends the grants of one IOVA page that are old enough. */
  #end(granted: Map<number, Grant>, iovaPage: number, { nowNs, why, upTo }: Ending): void {
    let kept: Grant | undefined;
    let grant = granted.get(iovaPage);
    while (grant !== undefined) {
      const next = grant.nextAtIova;
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
    if (kept === undefined) granted.delete(iovaPage);
    else granted.set(iovaPage, kept);
  }

  #unlink(grant: Grant): void {
    const { nextAtPage: next, previousAtPage: previous } = grant;
    if (next !== undefined) next.previousAtPage = previous;
    if (previous !== undefined) previous.nextAtPage = next;
    else if (next !== undefined) this.#byPage.set(grant.page, next);
    else this.#byPage.delete(grant.page);
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
}

function historyOf(grant: Grant, revokedNs: number, why: RevokedWhy): GrantHistory {
  const { pasid, iovaPage, page, access, grantedNs } = grant;
  return { pasid, iovaPage, page, pages: 1, access, grantedNs, revokedNs, why };
}
