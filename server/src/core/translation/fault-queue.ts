import { ACCESS, NO_PASID, Ring, formatBdf, hex } from '../base/index.ts';
import type { Bdf, Outcome, Pasid } from '../base/index.ts';

export interface FaultEntry {
  /** Counts from 1 over the life of the machine. */
  readonly number: number;
  readonly timeNs: number;
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  readonly iova: bigint;
  /** ACCESS bits of the access. */
  readonly access: number;
  readonly cause: Outcome;
  /** `00:02.0 write 0x11000: not present`, with `PASID 5` after the function when there is one. */
  readonly text: string;
}

const ACCESS_WORDS = new Map<number, string>([
  [ACCESS.read, 'read'],
  [ACCESS.write, 'write'],
  [ACCESS.readWrite, 'read-write'],
  [ACCESS.execute, 'execute'],
]);

/** The last `capacity` fault records, kept to be read any number of times; the oldest make way and are counted. */
export class FaultQueue {
  readonly #records: Ring<FaultEntry>;
  readonly #now: () => number;
  #recorded = 0;

  constructor(capacity: number, now: () => number) {
    this.#records = new Ring(capacity);
    this.#now = now;
  }

  record(bdf: Bdf, pasid: Pasid, iova: bigint, access: number, cause: Outcome): FaultEntry {
    const who = pasid === NO_PASID ? formatBdf(bdf) : `${formatBdf(bdf)} PASID ${pasid}`;
    const text = `${who} ${ACCESS_WORDS.get(access) ?? 'access'} ${hex(iova)}: ${cause.replaceAll('-', ' ')}`;
    const entry: FaultEntry = { number: ++this.#recorded, timeNs: this.#now(), bdf, pasid, iova, access, cause, text };
    this.#records.push(entry);
    return entry;
  }

  /** Oldest first. */
  records(): readonly FaultEntry[] {
    return [...this.#records.values()];
  }

  /** How many records made way for newer ones. */
  get overflow(): number {
    return this.#records.dropped;
  }
}
