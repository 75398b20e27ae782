/** A translation agent with short words for what tests ask of it. */
import { NO_PASID, Trace, bdf, pasid, type Bdf, type Pasid, type TraceRecord } from '../../../server/src/core/base/index.ts';
import { GuestMemory } from '../../../server/src/core/memory/index.ts';
import { STATUS, Translation, type AddressSpace } from '../../../server/src/core/translation/index.ts';

export const KIB4 = 0x1000n;
export const MIB2 = 1n << 21n;
export const GIB1 = 1n << 30n;
/** Rights. */
export const NONE = 0;
export const R = 1;
export const W = 2;
export const RW = 3;
export const X = 4;

export const nic = bdf(0, 0, 2, 0);
export const disk = bdf(0, 3, 0, 1);
export const FIVE = pasid(5);

export class Probe {
  now = 100;
  readonly seen: TraceRecord[] = [];
  readonly t: Translation;

  constructor() {
    const trace = new Trace(() => this.now);
    trace.listen((record) => this.seen.push(record));
    this.t = new Translation({ trace, now: () => this.now, memory: new GuestMemory([]) });
  }

  /** A paging space with these mappings. */
  paging(...maps: readonly (readonly [iova: bigint, address: bigint, bytes: bigint, access?: number])[]): AddressSpace {
    const space = this.t.createSpace('paging');
    for (const [iova, address, bytes, access] of maps) {
      const code = space.tables?.map(iova, address, bytes, access ?? RW);
      if (code !== 0) throw new Error(`map ${iova}: ${code}`);
    }
    return space;
  }

  /** An untranslated request for the page of an address: its physical page, or the name of another outcome. */
  translate(at: Bdf, id: Pasid, iova: bigint, access = R): number | string {
    return this.#answer(this.t.translate(this.t.contextHandle(at, id), pageLow(iova), pageHigh(iova), access));
  }

  /** The same for an ATS translation request. */
  request(at: Bdf, id: Pasid, iova: bigint, access = R): number | string {
    return this.#answer(this.t.translationRequest(this.t.contextHandle(at, id), pageLow(iova), pageHigh(iova), access));
  }

  /** The name of what a translated request without a PASID ends with. */
  translated(at: Bdf, page: number, access: number): string {
    return nameOf(this.t.translatedRequest(this.t.contextHandle(at, NO_PASID), page, access));
  }

  #answer(status: number): number | string {
    return status === 0 ? this.t.resultPage : nameOf(status);
  }
}

function pageLow(iova: bigint): number {
  return Number(BigInt.asIntN(32, iova >> 12n));
}
function pageHigh(iova: bigint): number {
  return Number(BigInt.asUintN(20, iova >> 44n));
}
function nameOf(status: number): string {
  return Object.entries(STATUS).find(([, index]) => index === status)?.[0] ?? `status ${status}`;
}
