/**
 * Interrupt remapping as VT-d has it (VT-d spec §5.1): which message becomes which interrupt, by a table that software writes. Nothing here records a fault.
 */
import type { Bdf, StateFields } from '../base/index.ts';
import { STATUS } from './status.ts';

/** An entry that is present. */
export interface RemapEntry {
  /** What the processor gets. */
  readonly vector: number;
  readonly destination: number;
  /** The only function whose messages it serves (SVT 01, all bits of the source-id compared); undefined: any. */
  readonly source: Bdf | undefined;
}

/** The largest Interrupt Remapping Table: indexes are 16 bits. */
export const REMAP_ENTRIES = 65_536;

/** Message address: bit 4 says that the message is remappable; bit 3 that its data adds a subhandle; bits 19:5 and 2 are the handle. */
const REMAPPABLE = 1 << 4;
const SUBHANDLE_VALID = 1 << 3;
const HANDLE_HIGH = 1 << 2;

export class InterruptRemapping {
  readonly #entries = new Map<number, RemapEntry>();
  readonly #compatibility: boolean;
  /** Of the last message that passed: its entry and the index of that; undefined and -1: it passed as it is. */
  entry: RemapEntry | undefined;
  index = -1;

  /** `compatibility`: messages that are not remappable pass as they are. */
  constructor(compatibility: boolean) {
    this.#compatibility = compatibility;
  }

  /** Entries that are present. */
  get size(): number {
    return this.#entries.size;
  }

  /** Undefined: not present. */
  set(index: number, entry: RemapEntry | undefined): void {
    if (entry === undefined) this.#entries.delete(index);
    else this.#entries.set(index, entry);
  }

  state(fields: StateFields): void {
    fields.keep('entries', this.#entries);
  }

  /** A write of a DWORD to 0xFEEx_xxxx by that function: `performed`, or the fault. */
  remap(source: Bdf, addressLow: number, data: number): number {
    this.entry = undefined;
    this.index = -1;
    if ((addressLow & REMAPPABLE) === 0) return this.#compatibility ? STATUS.performed : STATUS['interrupt-compatibility'];
    const subhandle = (addressLow & SUBHANDLE_VALID) !== 0;
    if (subhandle && data >>> 16 !== 0) return STATUS['interrupt-reserved'];
    const index = handleOf(addressLow) + (subhandle ? data & 0xffff : 0);
    if (index >= REMAP_ENTRIES) return STATUS['interrupt-index'];
    const entry = this.#entries.get(index);
    if (entry === undefined) return STATUS['interrupt-absent'];
    if (entry.source !== undefined && entry.source !== source) return STATUS['interrupt-source'];
    this.entry = entry;
    this.index = index;
    return STATUS.performed;
  }
}

function handleOf(addressLow: number): number {
  return ((addressLow >>> 5) & 0x7fff) | ((addressLow & HANDLE_HIGH) === 0 ? 0 : 0x8000);
}
