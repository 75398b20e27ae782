/**
 * The software's side of any {@link Format}: tables that an address space owns, written as `iommu_map` and `iommu_unmap` do. No table
 * is ever empty, so a table where a larger page should go means an overlap.
 */
import { ACCESS, OK, PAGE_LG2, addressOfPage, errno, pageOf, type Errno, type StateFields } from '../../base/index.ts';
import { STATUS } from '../status.ts';
import { PAGE_WORDS_LG2, type TablePool } from '../table-pool.ts';
import { KIND, rootPages, type Entry, type Format, type LeafSize } from './format.ts';
import { LoopTables, NO_ROOT } from './loop-tables.ts';
import { PoolMemory } from './table-memory.ts';

const NOT_PRESENT = STATUS['not-present'];
const U64_END = 1n << 64n;

export class RadixTables extends LoopTables {
  protected readonly pool: TablePool;
  readonly #entry: Entry = { kind: 0, page: 0, nextLevel: 0, sizeLg2: 0, rights: 0 };
  /** Tables in a row that the root is. */
  readonly #rootTables: number;
  /** 4 KiB pages of the smallest page. */
  readonly #granule: number;
  #mappedPages = 0;

  /** `root`: a table of the pool that somebody has written already; absent: none. */
  constructor(format: Format, pool: TablePool, root = NO_ROOT) {
    super(format, new PoolMemory(pool));
    this.pool = pool;
    this.root = root;
    this.#rootTables = Math.max(1, rootPages(format) / pool.pagesPerTable);
    this.#granule = 2 ** format.spanLg2[0]!;
  }

  override state(fields: StateFields): void {
    super.state(fields);
    fields.field('pool', this.pool);
    this.#mappedPages = fields.field('mappedPages', this.#mappedPages);
  }

  override get mappedBytes(): bigint {
    return addressOfPage(this.#mappedPages);
  }

  override map(iova: bigint, address: bigint, bytes: bigint, access: number): Errno {
    const { top, outputBits } = this.shape;
    if (!this.isRange(iova, bytes) || address < 0n || !this.#isAligned(address)) return errno('EINVAL');
    if ((address + bytes - 1n) >> BigInt(outputBits + PAGE_LG2) !== 0n) return errno('EINVAL');
    if ((access & ACCESS.readWrite) === 0 || (access & ~ACCESS.readWrite) !== 0) return errno('EINVAL');
    const first = this.inputPage(iova);
    const pages = pageOf(bytes);
    const target = pageOf(address);
    const missing = this.#missing(this.root === NO_ROOT ? 0 : this.root, top, first, pages, target);
    if (missing < 0) return errno('EADDRINUSE');
    if (!this.pool.reserve(missing, this.root === NO_ROOT ? this.#rootTables : 0)) return errno('ENOMEM');
    if (this.root === NO_ROOT) this.root = this.pool.take(this.#rootTables);
    this.#fill(this.root, top, first, pages, target, access);
    this.#mappedPages += pages;
    return OK;
  }

  override unmap(iova: bigint, bytes: bigint): bigint {
    if (!this.isRange(iova, bytes) || this.root === NO_ROOT) return 0n;
    const undone = this.#clear(this.root, this.shape.top, this.inputPage(iova), pageOf(bytes));
    if (this.pool.isEmpty(this.root)) {
      this.pool.give(this.root, this.#rootTables);
      this.root = NO_ROOT;
    }
    this.#mappedPages -= undone;
    return addressOfPage(undone);
  }

  override free(): void {
    if (this.root !== NO_ROOT) this.#freeTable(this.root, this.shape.top);
    this.root = NO_ROOT;
    this.#mappedPages = 0;
  }

  override holes(iova: bigint, bytes: bigint, onHole: (iova: bigint, bytes: bigint) => boolean): boolean {
    if (!this.isRange(iova, bytes)) return false;
    const first = this.inputPage(iova);
    const end = first + pageOf(bytes);
    let from = first;
    const tell = (to: number): boolean => onHole(iova + addressOfPage(from - first), addressOfPage(to - from));
    const onLeaf = (page: number, pages: number): boolean => {
      if (page > from && !tell(page)) return false;
      from = page + pages;
      return true;
    };
    const all = this.root === NO_ROOT || this.#leaves(this.root, this.shape.top, first, end - first, onLeaf);
    if (all && from < end) tell(end);
    return true;
  }

  /** Tells of the leaves that a range touches, in rising order, each as a whole, until `onLeaf` says false. */
  #leaves(table: number, level: number, first: number, pages: number, onLeaf: (page: number, pages: number) => boolean): boolean {
    for (let page = first; page < first + pages;) {
      const kind = this.#read(table, level, page);
      const count = this.#pagesInEntry(level, page, first + pages - page);
      if (kind === KIND.leaf) {
        const span = 2 ** this.#sizeOfLeaf(table, level, page).sizeLg2;
        const start = page - (page % span);
        if (!onLeaf(start, span)) return false;
        page = start + span;
        continue;
      }
      if (kind === KIND.table && !this.#leaves(this.#entry.page, level - 1, page, count, onLeaf)) return false;
      page += count;
    }
    return true;
  }

  /**
   * How many tables a mapping would add below `table` (0: one that is still to be made); -1 when part of the range is mapped. Stops counting
   * past what the pool has.
   */
  #missing(table: number, level: number, first: number, pages: number, target: number): number {
    let missing = 0;
    let done = 0;
    while (done < pages && missing <= this.pool.available) {
      const page = first + done;
      const leaf = this.#largestLeaf(level, page, pages - done, target + done);
      if (leaf?.level === level) {
        if (table !== 0 && !this.#slotsAreFree(table, level, page, leaf.slots)) return -1;
        done += 2 ** leaf.sizeLg2;
        continue;
      }
      const count = this.#pagesInEntry(level, page, pages - done);
      const kind = table === 0 ? NOT_PRESENT : this.#read(table, level, page);
      if (kind === KIND.leaf) return -1;
      const child = kind === KIND.table ? this.#entry.page : 0;
      const below = this.#missing(child, level - 1, page, count, target + done);
      if (below < 0) return below;
      missing += below + (child === 0 ? 1 : 0);
      done += count;
    }
    return missing;
  }

  /** Writes a mapping of which {@link RadixTables.#missing} has found that it fits, with the tables reserved. */
  #fill(table: number, level: number, first: number, pages: number, target: number, access: number): void {
    const format = this.shape;
    const { words } = this.pool;
    let added = 0;
    let done = 0;
    while (done < pages) {
      const page = first + done;
      const at = this.#entryAt(table, level, page);
      const leaf = this.#largestLeaf(level, page, pages - done, target + done);
      if (leaf?.level === level) {
        for (let slot = 0; slot < leaf.slots; slot++) format.putLeaf(words, at + slot * 2, target + done, access, leaf, slot);
        added += leaf.slots;
        done += 2 ** leaf.sizeLg2;
        continue;
      }
      if (this.#read(table, level, page) !== KIND.table) {
        format.putTable(words, at, this.pool.take(), level);
        this.#read(table, level, page);
        added++;
      }
      const count = this.#pagesInEntry(level, page, pages - done);
      this.#fill(this.#entry.page, level - 1, page, count, target + done, access);
      done += count;
    }
    this.pool.count(table, added);
  }

  /** Unmaps from `first` to a hole or the end, gives tables back that become empty, and returns the pages undone. */
  #clear(table: number, level: number, first: number, pages: number): number {
    let undone = 0;
    while (undone < pages) {
      const page = first + undone;
      const kind = this.#read(table, level, page);
      if (kind === KIND.leaf) {
        const size = this.#sizeOfLeaf(table, level, page);
        if (page % 2 ** size.sizeLg2 !== 0) break;
        this.#zero(table, level, page, size.slots);
        undone += 2 ** size.sizeLg2;
      } else if (kind === KIND.table) {
        const child = this.#entry.page;
        const asked = this.#pagesInEntry(level, page, pages - undone);
        const below = this.#clear(child, level - 1, page, asked);
        undone += below;
        if (this.pool.isEmpty(child)) {
          this.pool.give(child);
          this.#zero(table, level, page, 1);
        }
        if (below < asked) break;
      } else {
        break;
      }
    }
    return undone;
  }

  #freeTable(table: number, level: number): void {
    const { words } = this.pool;
    const entries = 1 << this.shape.indexLg2[level]!;
    for (let index = 0; index < entries && !this.pool.isEmpty(table); index++) {
      if (this.#readAt(this.#wordOf(table) + index * 2, level) === KIND.table) this.#freeTable(this.#entry.page, level - 1);
    }
    const at = this.#wordOf(table);
    words.fill(0, at, at + entries * 2);
    this.pool.give(table, level === this.shape.top ? this.#rootTables : 1);
  }

  /** The largest page, of this level or below, that starts at `page` and `target` and has at most `pages`. */
  #largestLeaf(level: number, page: number, pages: number, target: number): LeafSize | undefined {
    for (const size of this.shape.leafSizes) {
      const span = 2 ** size.sizeLg2;
      if (size.level <= level && span <= pages && page % span === 0 && target % span === 0) return size;
    }
    return undefined;
  }

  /** The leaf at an entry that was just read: a contiguous group, or a page of its own. */
  #sizeOfLeaf(table: number, level: number, page: number): LeafSize {
    const format = this.shape;
    const at = this.#entryAt(table, level, page);
    const { words } = this.pool;
    const sizeLg2 = Math.max(this.#entry.sizeLg2, format.groupOf?.(words[at]!, words[at + 1]!, level) ?? 0);
    return format.leafSizes.find((size) => size.level === level && size.sizeLg2 === sizeLg2) ?? { level, sizeLg2, slots: 1 };
  }

  #slotsAreFree(table: number, level: number, page: number, slots: number): boolean {
    const at = this.#entryAt(table, level, page);
    for (let slot = 0; slot < slots; slot++) if (this.#readAt(at + slot * 2, level) !== NOT_PRESENT) return false;
    return true;
  }

  #zero(table: number, level: number, page: number, slots: number): void {
    const at = this.#entryAt(table, level, page);
    this.pool.words.fill(0, at, at + slots * 2);
    this.pool.count(table, -slots);
  }

  #read(table: number, level: number, page: number): number {
    return this.#readAt(this.#entryAt(table, level, page), level);
  }

  #readAt(at: number, level: number): number {
    const { words } = this.pool;
    this.shape.decode(words[at]!, words[at + 1]!, level, this.#entry);
    return this.#entry.kind;
  }

  #entryAt(table: number, level: number, page: number): number {
    const entries = 2 ** this.shape.indexLg2[level]!;
    return this.#wordOf(table) + (Math.floor(page / 2 ** this.shape.spanLg2[level]!) % entries) * 2;
  }

  #wordOf(table: number): number {
    return table << PAGE_WORDS_LG2;
  }

  /** How many of the next `most` pages from `page` lie in one entry of a level. */
  #pagesInEntry(level: number, page: number, most: number): number {
    const span = 2 ** this.shape.spanLg2[level]!;
    return Math.min(span - (page % span), most);
  }

  /** Page number within what the levels translate: a sign extension is dropped. */
  protected inputPage(iova: bigint): number {
    return Number(BigInt.asUintN(this.shape.inputBits, iova >> BigInt(PAGE_LG2)));
  }

  /** Aligned, not empty, and every byte one that the format has, all in the same half. */
  protected isRange(iova: bigint, bytes: bigint): boolean {
    if (bytes <= 0n || iova < 0n || !this.#isAligned(iova) || !this.#isAligned(bytes)) return false;
    const { inputBits, signed } = this.shape;
    const bits = BigInt(Math.min(inputBits + PAGE_LG2, 64) - (signed ? 1 : 0));
    const last = iova + bytes - 1n;
    return last < 1n << bits || (signed && iova >= U64_END - (1n << bits) && last < U64_END);
  }

  #isAligned(value: bigint): boolean {
    return value % addressOfPage(this.#granule) === 0n;
  }
}
