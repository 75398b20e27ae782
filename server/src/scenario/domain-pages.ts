/** Which physical pages each domain maps, as the statements had it. */
import type { InspectedDomain } from '../core/machine/index.ts';

const PAGE = 4096n;

export class DomainPages {
  /** By domain and IOVA. */
  readonly #pages = new Map<number, Map<bigint, number>>();
  /** By domain whose tables a guest writes: IOVAs that its guest has invalidated, which it does with what it has changed. */
  readonly #invalidated = new Map<number, Set<bigint>>();

  /** No statement has mapped anything. */
  get areUnknown(): boolean {
    return this.#pages.size === 0;
  }

  map(domain: number, iova: bigint, address: bigint, bytes: bigint): void {
    let pages = this.#pages.get(domain);
    if (pages === undefined) this.#pages.set(domain, (pages = new Map<bigint, number>()));
    for (let offset = 0n; offset < bytes; offset += PAGE) pages.set(iova + offset, Number((address + offset) / PAGE));
  }

  /** `bytes`: what the unmap undid, which with a large page is more than was asked for. In a domain that nobody maps in, a guest does. */
  unmap(domain: number, iova: bigint, bytes: bigint): void {
    const pages = this.#pages.get(domain);
    let invalidated = this.#invalidated.get(domain);
    if (pages === undefined && invalidated === undefined) this.#invalidated.set(domain, (invalidated = new Set<bigint>()));
    for (let offset = 0n; offset < bytes; offset += PAGE) {
      pages?.delete(iova + offset);
      invalidated?.add(iova + offset);
    }
  }

  /** A host has written memory: a guest's tables, perhaps, which may map again what it has invalidated. */
  written(): void {
    this.#invalidated.clear();
  }

  /** Whether a request for page `asked` (undefined: it is not known which) may reach this physical page through the domain. */
  reach({ id, parent, guestTables }: InspectedDomain, page: number, asked: number | undefined): boolean {
    if (guestTables === true && asked !== undefined && this.#invalidated.get(id)?.has(BigInt(asked) * PAGE) === true) return false;
    if (parent !== undefined) return this.reach(parent, page, undefined);
    if (guestTables === true) return true;
    for (const mapped of this.#pages.get(id)?.values() ?? []) if (mapped === page) return true;
    return false;
  }

  /** Whether the domain has something at this page of IOVA; one that no statement mapped anything in, or that is nested, is not known. */
  mayMap({ id }: InspectedDomain, page: bigint): boolean {
    const pages = this.#pages.get(id);
    return pages === undefined || pages.has(page * PAGE);
  }
}
