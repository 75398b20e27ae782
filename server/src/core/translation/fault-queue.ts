import { ACCESS, NO_PASID, Ring, formatBdf, hex } from '../base/index.ts';
import type { Bdf, Outcome, Pasid, StateFields } from '../base/index.ts';

/** A request that was refused, and why. */
export interface Fault {
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  readonly iova: bigint;
  /** ACCESS bits of the access. */
  readonly access: number;
  /** The request asked for privileged mode. */
  readonly privileged: boolean;
  /** The stage of translation that refused, 1 or 2; 0 where none did. */
  readonly stage: number;
  readonly cause: Outcome;
}

export interface FaultEntry extends Fault {
  /** Counts from 1 over the life of the machine. */
  readonly number: number;
  readonly timeNs: number;
  readonly execute: boolean;
  /** `00:02.0 write 0x11000: not present`, with `PASID 5` after the function when there is one. */
  readonly text: string;
}

const ACCESS_WORDS = new Map<number, string>([
  [ACCESS.read, 'read'],
  [ACCESS.write, 'write'],
  [ACCESS.readWrite, 'read-write'],
  [ACCESS.execute, 'execute'],
  [ACCESS.read | ACCESS.execute, 'execute'],
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

  record(fault: Fault): FaultEntry {
    const { bdf, pasid, iova, access, privileged, stage, cause } = fault;
    const execute = (access & ACCESS.execute) !== 0;
    const who = pasid === NO_PASID ? formatBdf(bdf) : `${formatBdf(bdf)} PASID ${pasid}`;
    const doing = `${privileged ? 'privileged ' : ''}${ACCESS_WORDS.get(access) ?? 'access'}`;
    const text = `${who} ${doing} ${hex(iova)}: ${cause.replaceAll('-', ' ')}${stage === 2 ? ' (stage 2)' : ''}`;
    const number = ++this.#recorded;
    const entry: FaultEntry = { number, timeNs: this.#now(), bdf, pasid, iova, access, privileged, execute, stage, cause, text };
    this.#records.push(entry);
    return entry;
  }

  /** Oldest first. */
  records(): readonly FaultEntry[] {
    return [...this.#records.values()];
  }

  state(fields: StateFields): void {
    fields.keep('records', this.#records);
    this.#recorded = fields.field('recorded', this.#recorded);
  }

  /** How many records made way for newer ones. */
  get overflow(): number {
    return this.#records.dropped;
  }
}
