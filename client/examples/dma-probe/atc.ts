/** The Address Translation Cache of a function that keeps it itself (PCIe Base r6.0 §10.3). */
import type { Grant, Invalidation } from 'iommud';

/** Whom a translation serves: what is granted to privileged mode serves no other request, nor the other way round. */
export interface Requester {
  /** Undefined: without a PASID. */
  readonly pasid?: number | undefined;
  readonly privileged?: boolean | undefined;
}

interface Entry {
  readonly pasid: number | undefined;
  readonly privileged: boolean;
  readonly iova: bigint;
  readonly bytes: bigint;
  readonly address: bigint;
  readonly access: string;
  /** It serves every PASID. */
  readonly global: boolean;
}

/** Where an IOVA leads: its physical address, and how far the translation reaches from there. */
export interface Place {
  readonly address: bigint;
  readonly bytes: bigint;
}

/** How many it keeps; the oldest goes first. */
const ENTRIES_MAX = 1024;

export class Atc {
  #entries: Entry[] = [];

  /** Undefined where no entry gives this access. */
  lookup({ pasid, privileged = false }: Requester, iova: bigint, access: 'r' | 'w' | 'x'): Place | undefined {
    const entry = this.#entries.find(
      (one) =>
        (one.pasid === pasid || (one.global && pasid !== undefined)) &&
        one.privileged === privileged &&
        one.access.includes(access) &&
        one.iova <= iova &&
        iova < one.iova + one.bytes,
    );
    if (entry === undefined) return undefined;
    const within = iova - entry.iova;
    return { address: entry.address + within, bytes: entry.bytes - within };
  }

  /** Keeps what a translation request for this address was granted: consecutive ranges of one size, the first with the address in it. */
  install({ pasid, privileged = false }: Requester, iova: bigint, grants: readonly Grant[]): void {
    let at = iova & ~((grants[0]?.bytes ?? 1n) - 1n);
    for (const { address, bytes, access, untranslatedOnly, global = false } of grants) {
      // A range for untranslated requests only is asked for again.
      if (access !== '' && untranslatedOnly !== true) {
        this.#entries = this.#entries.filter(
          (one) => one.pasid !== pasid || one.privileged !== privileged || one.iova !== at || one.bytes !== bytes,
        );
        this.#entries.push({ pasid, privileged, iova: at, bytes, address, access, global });
      }
      at += bytes;
    }
    this.#entries = this.#entries.slice(-ENTRIES_MAX);
  }

  /** Without a PASID: entries that were made without one in the range, and every entry that was made with one (PCIe Base r6.0 §10.3.8). */
  invalidate({ pasid, iova, bytes }: Pick<Invalidation, 'pasid' | 'iova' | 'bytes'>): void {
    this.#entries = this.#entries.filter((one) => {
      const overlaps = bytes === undefined || (one.iova < iova + bytes && iova < one.iova + one.bytes);
      if (pasid === undefined) return one.pasid === undefined && !one.global && !overlaps;
      return (one.pasid !== pasid && !one.global) || !overlaps;
    });
  }
}
