/**
 * The reset window, groups and domains as one page of executable specification: what each call must answer, and what must be so afterwards. Two
 * functions of one group; nothing waits, nothing fails. Written from the table of invariants, not from the code.
 */
/** `window`: what isolation `direct-regions` has in place of `blocking`. */
export type DomainName = 'default' | 'blocking' | 'window' | 'A' | 'B' | 'blocked';
export const NEW_DOMAINS = ['A', 'B', 'blocked'] as const;
export const PASIDS = [5, 6] as const;
export const PAGES = 4;

export interface SpecFunction {
  readonly windows: string[];
  /** It was blocked when its window was opened, and gets nothing opened by it. */
  shut: boolean;
}

/** How a write of one byte must end. */
export type WriteOutcome = 'performed' | 'not-present' | 'no-access' | 'blocked-domain' | 'ats-forbidden' | 'gate-closed';

export class WindowSpec {
  readonly strict: boolean;
  readonly direct: boolean;
  readonly functions: readonly SpecFunction[] = [
    { windows: [], shut: false },
    { windows: [], shut: false },
  ];
  domain: DomainName = 'default';
  owned = false;
  readonly pasids = new Map<number, DomainName>();
  /** Which physical page each page of a paging domain has. */
  readonly tables: Readonly<Record<'default' | 'A' | 'B', Map<number, number>>> = { default: new Map(), A: new Map(), B: new Map() };
  readonly memory: number[] = Array.from({ length: PAGES }, () => 0);

  /** `direct`: isolation `direct-regions`. */
  constructor(strict: boolean, direct: boolean) {
    this.strict = strict;
    this.direct = direct;
  }

  blocked(fn: number): boolean {
    return this.functions[fn]!.windows.length > 0;
  }
  get recovery(): number {
    return this.functions.filter(({ windows }) => windows.length > 0).length;
  }
  /** What the RID's context holds: 2, 13. */
  physical(fn: number): DomainName {
    if (!this.blocked(fn)) return this.domain;
    return this.direct && !this.functions[fn]!.shut ? 'window' : 'blocking';
  }
  physicalPasid(fn: number, pasid: number): DomainName | undefined {
    const logical = this.pasids.get(pasid);
    return logical !== undefined && this.blocked(fn) ? 'blocking' : logical;
  }

  /** 5: the same token is the same window, another nests. The depth that is answered. */
  prepare(fn: number, token: string): number {
    const { windows } = this.functions[fn]!;
    if (windows.length === 0) this.functions[fn]!.shut = this.domain === 'blocking' || this.domain === 'blocked';
    const open = windows.indexOf(token);
    return open < 0 ? windows.push(token) : -1;
  }
  /** 6: a window that is not open changes nothing. */
  done(fn: number, token: string | undefined): number {
    const { windows } = this.functions[fn]!;
    if (token === undefined) windows.length = 0;
    else if (windows.includes(token)) windows.splice(windows.indexOf(token), 1);
    return windows.length;
  }

  /** 9, 11. */
  attach(domain: DomainName): string {
    if (domain === this.domain) return 'ok';
    if (this.recovery > 0) return 'EBUSY';
    this.domain = domain;
    return 'ok';
  }
  /** 12, 45. */
  detach(): string {
    this.domain = this.owned ? 'blocking' : 'default';
    return 'ok';
  }
  /** 43. */
  claim(): string {
    if (this.owned) return 'EPERM';
    if (this.domain !== 'blocking' && (this.recovery > 0 || this.domain !== 'default' || this.pasids.size > 0)) return 'EBUSY';
    this.owned = true;
    this.domain = 'blocking';
    return 'ok';
  }
  release(): string {
    if (!this.owned) return 'EINVAL';
    if (this.pasids.size > 0) return 'EBUSY';
    this.owned = false;
    this.domain = 'default';
    return 'ok';
  }
  /** 10: arguments before the window, the window before what is there. */
  attachPasid(pasid: number, domain: DomainName, replace: boolean): string {
    if (pasid === 0 || domain === 'blocked' || domain === 'blocking') return 'EINVAL';
    if (this.recovery > 0) return 'EBUSY';
    if (replace !== this.pasids.has(pasid)) return replace ? 'EINVAL' : 'EBUSY';
    this.pasids.set(pasid, domain);
    return 'ok';
  }
  /** 14. */
  detachPasid(pasid: number): string {
    this.pasids.delete(pasid);
    return 'ok';
  }

  /** 18: map and unmap do not ask for windows. */
  map(domain: 'default' | 'A' | 'B', page: number, physical: number): string {
    if (this.tables[domain].has(page)) return 'EADDRINUSE';
    this.tables[domain].set(page, physical);
    return 'ok';
  }
  unmap(domain: 'default' | 'A' | 'B', page: number): bigint {
    return this.tables[domain].delete(page) ? 4096n : 0n;
  }

  /** 17: nothing of a blocked function gets anywhere. */
  write(fn: number, page: number, pasid: number | undefined, viaAtc: boolean, value: number): WriteOutcome {
    if (this.strict && this.blocked(fn)) return 'gate-closed';
    const domain = pasid === undefined ? this.physical(fn) : this.physicalPasid(fn, pasid);
    if (domain === 'window') return viaAtc ? 'ats-forbidden' : 'not-present';
    if (domain === undefined || domain === 'blocking' || domain === 'blocked') return viaAtc ? 'ats-forbidden' : 'blocked-domain';
    const physical = this.tables[domain].get(page);
    if (physical === undefined) return viaAtc ? 'no-access' : 'not-present';
    this.memory[physical] = value;
    return 'performed';
  }

  /** The same where the function has a direct region: in the default domain, and in the one of its window. */
  writeDirect(fn: number, viaAtc: boolean): WriteOutcome {
    const domain = this.physical(fn);
    const open = domain === 'window' && !viaAtc;
    if (this.strict && this.blocked(fn)) return open ? 'performed' : 'gate-closed';
    if (domain === 'default' || open) return 'performed';
    if (domain === 'A' || domain === 'B') return viaAtc ? 'no-access' : 'not-present';
    return viaAtc ? 'ats-forbidden' : 'blocked-domain';
  }
}
