import { PAGE_LG2, addressOfPage, high32, low32, pageHigh, pageLow, type Errno, type StateFields } from '../../base/index.ts';
import type { DirtyTracking, Lookup, WalkedTables } from '../page-tables.ts';
import { STATUS } from '../status.ts';
import type { Format } from './format.ts';
import { LOOKING, RadixWalker, inputFault } from './radix-walker.ts';
import type { TableMemory } from './table-memory.ts';

const PERFORMED = STATUS.performed;
const NOT_PRESENT = STATUS['not-present'];
export const NO_ROOT = -1;

/** Tables of any format that are walked by the loop of {@link RadixWalker}, whoever writes them. */
export abstract class LoopTables implements WalkedTables {
  foundLow = 0;
  foundHigh = 0;
  foundAccess = 0;
  foundPagesLg2 = 0;
  foundGlobal = false;
  foundSnooped = false;
  protected readonly shape: Format;
  /** Physical page and byte offset of the table at which a walk begins; page -1 while there is none. */
  protected root = NO_ROOT;
  protected rootOffset = 0;
  /** The hardware keeps accessed and dirty flags now; only with a format of {@link withFlags}. */
  protected keepsFlags = false;
  readonly dirty: DirtyTracking | undefined = undefined;
  readonly #walker: RadixWalker;

  constructor(shape: Format, memory: TableMemory) {
    this.shape = shape;
    this.#walker = new RadixWalker(shape, memory);
  }

  state(fields: StateFields): void {
    fields.field('format', this.shape.name);
    this.root = fields.field('root', this.root);
    this.rootOffset = fields.field('rootOffset', this.rootOffset);
    this.keepsFlags = fields.field('keepsFlags', this.keepsFlags);
  }

  get format(): string {
    return this.shape.name;
  }
  abstract get mappedBytes(): bigint;
  abstract map(iova: bigint, address: bigint, bytes: bigint, access: number): Errno;
  abstract unmap(iova: bigint, bytes: bigint): bigint;
  abstract free(): void;
  abstract holes(iova: bigint, bytes: bigint, onHole: (iova: bigint, bytes: bigint) => boolean): boolean | undefined;

  get marksWrites(): boolean {
    return this.keepsFlags;
  }

  get faultStage(): number {
    return this.shape.stage;
  }

  walk(low: number, high: number, access: number): number {
    return this.walkAs(low, high, access, false);
  }

  walkPrivileged(low: number, high: number, access: number): number {
    return this.walkAs(low, high, access, true);
  }

  protected walkAs(low: number, high: number, access: number, privileged: boolean): number {
    const walker = this.#walker;
    if (this.root === NO_ROOT) return inputFault(this.shape, low, high) || NOT_PRESENT;
    const flagsFor = this.keepsFlags ? access : LOOKING;
    const status = walker.walk(this.root, this.rootOffset, low, high, undefined, flagsFor, privileged);
    this.foundLow = walker.foundLow;
    this.foundHigh = walker.foundHigh;
    this.foundAccess = privileged ? walker.foundPrivileged : walker.foundAccess;
    this.foundGlobal = walker.foundGlobal;
    if (status !== PERFORMED) return status;
    this.foundPagesLg2 = walker.groupLg2(low);
    this.foundSnooped = walker.foundSnooped;
    return status;
  }

  lookup(iova: bigint): Lookup | undefined {
    if (BigInt.asUintN(64, iova) !== iova) return undefined;
    const low = low32(iova);
    const high = high32(iova);
    if (this.walk(pageLow(low, high), pageHigh(high), LOOKING) !== PERFORMED) return undefined;
    const page = this.foundHigh * 2 ** 32 + (this.foundLow >>> 0);
    return {
      address: addressOfPage(page) | BigInt.asUintN(PAGE_LG2, iova),
      access: this.foundAccess,
      pageBytes: addressOfPage(2 ** this.foundPagesLg2),
    };
  }
}
