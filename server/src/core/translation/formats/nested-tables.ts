/**
 * Nested translation: first-stage tables that a guest wrote, at addresses that the second stage translates, as it does what they put out. A
 * request has the rights that both stages give, and its page the smaller size.
 */
import { ACCESS, type StateFields } from '../../base/index.ts';
import type { WalkedTables } from '../page-tables.ts';
import { STATUS } from '../status.ts';
import type { Format } from './format.ts';
import { GuestTables, type RamMemory } from './guest-tables.ts';
import { LOOKING } from './radix-walker.ts';
import type { TableMemory } from './table-memory.ts';

const PERFORMED = STATUS.performed;
const NOT_PERMITTED = STATUS['not-permitted'];

/** Memory by the guest's physical addresses. An entry is read with the right to read alone, and written with the right to write. */
class SecondStageMemory implements TableMemory {
  failed = PERFORMED;
  /** Whether the second stage, and not the memory behind it, refused the last access that failed. */
  failedInSecond = false;
  /** Nobody uses what is read: the second stage's flags are left alone. */
  looking = false;
  readonly #second: WalkedTables;
  readonly #memory: RamMemory;

  constructor(second: WalkedTables, memory: RamMemory) {
    this.#second = second;
    this.#memory = memory;
  }

  get low(): number {
    return this.#memory.low;
  }
  get high(): number {
    return this.#memory.high;
  }

  load(page: number, offset: number): boolean {
    const at = this.#translate(page, ACCESS.read);
    return at >= 0 && this.#behind(this.#memory.load(at, offset));
  }

  store(page: number, offset: number, low: number): boolean {
    const at = this.#translate(page, ACCESS.write);
    return at >= 0 && this.#behind(this.#memory.store(at, offset, low));
  }

  /** The physical page, or -1. */
  #translate(page: number, access: number): number {
    const second = this.#second;
    const status = second.walk(page | 0, Math.floor(page / 2 ** 32), this.looking ? LOOKING : access);
    if (status === PERFORMED && (second.foundAccess & access) === access) return second.foundHigh * 2 ** 32 + (second.foundLow >>> 0);
    this.failed = status === PERFORMED ? NOT_PERMITTED : status;
    this.failedInSecond = true;
    return -1;
  }

  #behind(done: boolean): boolean {
    if (!done) {
      this.failed = this.#memory.failed;
      this.failedInSecond = false;
    }
    return done;
  }
}

export class NestedTables extends GuestTables {
  readonly #second: WalkedTables;
  readonly #memory: SecondStageMemory;
  #faultStage = 1;

  /** `root`: an address that the second stage translates too. */
  constructor(format: Format, second: WalkedTables, memory: RamMemory, root: bigint, keepsFlags: boolean) {
    const through = new SecondStageMemory(second, memory);
    super(format, through, root, keepsFlags);
    this.#second = second;
    this.#memory = through;
  }

  override state(fields: StateFields): void {
    super.state(fields);
    fields.field('second', this.#second);
  }

  override get marksWrites(): boolean {
    return this.keepsFlags || this.#second.marksWrites;
  }

  override get faultStage(): number {
    return this.#faultStage;
  }

  protected override walkAs(low: number, high: number, access: number, privileged: boolean): number {
    if (access === LOOKING || !this.keepsFlags) return this.#walkBoth(low, high, access, access !== LOOKING, privileged);
    // What either stage refuses leaves no flag in the first: both are asked before one is marked.
    const status = this.#walkBoth(low, high, access, false, privileged);
    return status === PERFORMED && permits(this.foundAccess, access) ? this.#walkBoth(low, high, access, true, privileged) : status;
  }

  #walkBoth(low: number, high: number, access: number, marks: boolean, privileged: boolean): number {
    const memory = this.#memory;
    memory.looking = !marks;
    memory.failedInSecond = false;
    const status = super.walkAs(low, high, marks ? access : LOOKING, privileged);
    this.#faultStage = memory.failedInSecond ? 2 : 1;
    if (status !== PERFORMED || !permits(this.foundAccess, access)) return status;
    this.#faultStage = 2;
    const second = this.#second;
    const end = second.walk(this.foundLow, this.foundHigh, marks ? access : LOOKING);
    this.foundLow = second.foundLow;
    this.foundHigh = second.foundHigh;
    this.foundAccess &= second.foundAccess;
    this.foundSnooped ||= second.foundSnooped;
    this.foundPagesLg2 = Math.min(this.foundPagesLg2, second.foundPagesLg2);
    return end;
  }
}

function permits(rights: number, access: number): boolean {
  return rights !== 0 && (access === LOOKING || (rights & access) === access);
}
