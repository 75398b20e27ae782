// long: the hot side is one class, so that V8 makes one piece of it
/**
 * The translation agent's hot side: device contexts, address spaces, the IOTLB in front of the walkers, and the two kinds of ATS request.
 *
 * A context that points nowhere, and one that points at a blocked space, answer `blocked-domain` to untranslated requests and
 * `ats-forbidden` to the others. Nothing here records a fault, and changing a context drops neither IOTLB entries (they belong to
 * the space) nor grants (the function still holds them): invalidation does.
 */
import {
  ACCESS,
  PAGE_BYTES,
  alignedDown,
  pageNumber,
  pageOf,
  translationAccess,
  translationPage,
  translationPagesLg2,
} from '../base/index.ts';
import type { Bdf, Pasid, StateFields, Trace, TranslationEntry } from '../base/index.ts';
import type { GuestMemory } from '../memory/index.ts';
import type { AddressSpace, Context, Space, SpaceType } from './address-space.ts';
import { Contexts, doubled } from './contexts.ts';
import { AwaitedEntries } from './formats/awaited-entries.ts';
import { GrantShadow, type GrantHistory, type RevokedWhy } from './grant-shadow.ts';
import {
  Iotlb,
  SHOWN_PAGES_LG2_MAX,
  TAG_MAX,
  TAG_SHIFT,
  accessOfRest,
  isGlobalRest,
  isSnoopedRest,
  packRest,
  pagesLg2OfRest,
} from './iotlb.ts';
import { SpaceTables, type TablesChoice } from './space-tables.ts';
import { Spaces } from './spaces.ts';
import { STATUS } from './status.ts';
import { TranslationRequests, type RequestPorts } from './translation-requests.ts';

const PERFORMED = STATUS.performed;
const NOT_PERMITTED = STATUS['not-permitted'];
const TOO_WIDE = STATUS['too-wide'];
const BLOCKED = STATUS['blocked-domain'];
const ATS_FORBIDDEN = STATUS['ats-forbidden'];
const STALE_ATC = STATUS['stale-atc'];

// The layout of an IOTLB entry as in iotlb.ts: imported values cost a load at each use, these are folded.
const SPREAD_SHIFT = 17;
const ENTRY_WORDS_LG2 = 2;
const VALID = 1 << 15;
const ACCESS_SHIFT = 12;
const HIGH_MASK = 0xfffff;
/** An identity space passes 52-bit addresses: page numbers whose high half is below this. */
const IDENTITY_HIGH_END = 1 << 8;
/** log2 of the pages that one translation of it has: 1 GiB, as the largest pages of the formats, for which ATCs are made. */
const IDENTITY_PAGES_LG2 = 18;
const PAGE_LAST = BigInt(PAGE_BYTES - 1);

export class Translation {
  /** Of the last answer `performed`, as the IOTLB has it: taken apart only when somebody asks. */
  #resultLow = 0;
  #resultRest = 0;
  #faultTables: Space['tables'];
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #iotlb = new Iotlb();
  readonly #shadow = new GrantShadow();
  readonly #requests: TranslationRequests;
  readonly #spaces: Spaces;
  #lastTag = 0;
  /** What walks wait for: translations end in WAITING there, beside the statuses. */
  readonly awaited = new AwaitedEntries();
  /** Functions of which a context was set: for whoever looks to take out. */
  readonly contextChanges = new Set<Bdf>();
  /** By handle. */
  readonly #contexts: Context[] = [];
  readonly #known = new Contexts(this.#contexts, this.#shadow);
  /** By handle: the tag of the context's space, shifted as the IOTLB wants it; 0 finds nothing. */
  #tags = new Int32Array(16);

  constructor(ports: RequestPorts & { readonly memory: GuestMemory }) {
    this.#trace = ports.trace;
    this.#now = ports.now;
    this.#spaces = new Spaces(new SpaceTables(ports.memory, this.awaited));
    this.#requests = new TranslationRequests(this, ports);
  }

  /** Of the last answer `performed`: the physical page, an exact double. */
  get resultPage(): number {
    // Here and not in iotlb.ts: a function of another module is called, which takes longer than the rest.
    return (this.#resultRest & 0xfff) * 0x1_0000_0000 + (this.#resultLow >>> 0);
  }
  /** Its rights, ACCESS bits. */
  get resultAccess(): number {
    return accessOfRest(this.#resultRest);
  }
  /** log2 of the size of its mapping in 4 KiB pages; more than 30 is told as that. */
  get resultPagesLg2(): number {
    return pagesLg2OfRest(this.#resultRest);
  }
  /** It is the same in every process; it has to be snooped: as its tables say. */
  get resultGlobal(): boolean {
    return isGlobalRest(this.#resultRest);
  }
  get resultSnooped(): boolean {
    return isSnoopedRest(this.#resultRest);
  }
  /** Of the last translation request `performed`: the entries of its completion, one or more: of consecutive ranges of one size, lowest first. */
  get completion(): readonly TranslationEntry[] {
    return this.#requests.completion;
  }

  /** The stage at which the last translation that was refused ended: 1 or 2; 0 where no tables were walked. */
  get faultStage(): number {
    return this.#faultTables?.faultStage ?? 0;
  }

  /** `choice`: of a paging space; absent: x86-64 tables of its own. Throws {@link ModelError} as {@link TablesChoice} has it. */
  createSpace(type: SpaceType, choice?: TablesChoice): AddressSpace {
    return this.#spaces.create(type, choice);
  }

  /** Frees the tables. No context may point at the space. */
  destroySpace(space: AddressSpace): void {
    this.#spaces.destroy(space);
  }

  /**
   * Points the context of a function, for requests with this PASID or (NO_PASID) without one, at a space; undefined removes it.
   * `ats`: its translation requests and translated requests are honoured, unless the space is blocked.
   */
  setContext(bdf: Bdf, pasid: Pasid, space: AddressSpace | undefined, ats: boolean): void {
    const handle = this.contextHandle(bdf, pasid);
    const context = this.#contexts[handle]!;
    const own = space === undefined ? undefined : this.#spaces.own(space);
    context.space?.contexts.delete(handle);
    own?.contexts.add(handle);
    context.space = own;
    context.ats = ats && own !== undefined && own.type !== 'blocked';
    this.#tags[handle] = own?.tag ?? 0;
    this.contextChanges.add(bdf);
    this.awaited.restart();
    this.#trace.emit('context-set', bdf, pasid, own?.id ?? 0, own === undefined || own.type === 'blocked' ? 1 : 0);
  }

  contextSpace(bdf: Bdf, pasid: Pasid): AddressSpace | undefined {
    return this.#known.find(bdf, pasid)?.space;
  }

  /** Whether ATS requests of the context are honoured now. */
  atsAllowed(bdf: Bdf, pasid: Pasid): boolean {
    return this.#known.find(bdf, pasid)?.ats ?? false;
  }

  /** A small number for the hot path: the same one for the life of the machine. */
  contextHandle(bdf: Bdf, pasid: Pasid): number {
    const handle = this.#known.handleOf(bdf, pasid);
    if (handle === this.#tags.length) this.#tags = doubled(this.#tags);
    return handle;
  }

  /** The id of the space that a translation of this context uses now; 0 when there is none. */
  spaceIdOf(context: number): number {
    return this.#contexts[context]!.space?.id ?? 0;
  }

  /**
   * Translates an untranslated request for the page with these int32 halves (the high one has 20 bits). Returns a status; `performed`
   * fills the result fields. `access`: every right that the request needs.
   */
  translate(context: number, low: number, high: number, access: number): number {
    const { words, mask } = this.#iotlb;
    const tag = this.#tags[context]!;
    const at = ((low ^ (tag >>> SPREAD_SHIFT)) & mask) << ENTRY_WORDS_LG2;
    const needed = VALID | (access << ACCESS_SHIFT);
    const rest = words[at + 3]!;
    if (words[at] !== low || words[at + 1] !== (tag | (high & HIGH_MASK)) || (rest & needed) !== needed) {
      return this.#walk(context, low, high, access);
    }
    this.#resultLow = words[at + 2]!;
    this.#resultRest = rest;
    return PERFORMED;
  }

  /** The same for a request in privileged mode. The IOTLB has nothing for it: entries are of requests without. */
  translatePrivileged(context: number, low: number, high: number, access: number): number {
    return this.#walk(context, low, high, access, true);
  }

  // In one piece, because V8 makes nothing of more than 460 bytecodes (--max-inlined-bytecode-size) a part of its caller. A smaller one becomes
  // a part of translate where a machine begins with misses, and all its hits take half as long again.
  #walk(context: number, low: number, high: number, access: number, privileged = false): number {
    const space = this.#contexts[context]!.space;
    this.#faultTables = space?.tables;
    if (space === undefined || space.type === 'blocked') return BLOCKED;
    const tables = space.tables;
    if (tables === undefined) {
      if (high >>> 0 >= IDENTITY_HIGH_END) return TOO_WIDE;
      this.#resultLow = low;
      this.#resultRest = packRest(high, ACCESS.readWrite, IDENTITY_PAGES_LG2);
      return PERFORMED;
    }
    const status = privileged ? tables.walkPrivileged(low, high, access) : tables.walk(low, high, access);
    if (status !== PERFORMED) return status;
    if (tables.foundAccess === 0 || (tables.foundAccess & access) !== access) return NOT_PERMITTED;
    const pagesLg2 = Math.min(tables.foundPagesLg2, SHOWN_PAGES_LG2_MAX);
    this.#resultLow = tables.foundLow;
    this.#resultRest = packRest(tables.foundHigh, tables.foundAccess, pagesLg2, tables.foundGlobal, tables.foundSnooped);
    if (privileged) return PERFORMED;
    if (space.tag === 0) {
      // A new tag leaves the entries of the old one unreachable. When tags run out the IOTLB is emptied and all start anew.
      if (this.#lastTag === TAG_MAX) {
        this.#iotlb.clear();
        this.#lastTag = 0;
        for (const other of this.#spaces.all()) this.#setTag(other, 0);
      }
      this.#setTag(space, ++this.#lastTag << TAG_SHIFT);
    }
    if (tables.foundPagesLg2 > space.cachedPagesLg2) space.cachedPagesLg2 = tables.foundPagesLg2;
    this.#iotlb.fill(space.tag, low, high, tables.foundLow, this.#resultRest);
    return PERFORMED;
  }

  /** Drops what the IOTLB holds of the mappings that a range of a space touches; possibly more. */
  invalidateRange(space: AddressSpace, iova: bigint, bytes: bigint): void {
    const own = this.#spaces.own(space);
    const { tag, cachedPagesLg2 } = own;
    this.awaited.restart();
    this.#trace.emit('iotlb-invalidated', own.id, pageOf(iova), pageOf(bytes + PAGE_LAST), 0);
    if (tag === 0 || bytes <= 0n) return;
    if (!this.#iotlb.dropMappings(tag, iova, bytes, cachedPagesLg2)) this.#setTag(own, 0);
  }

  /** Drops everything that the IOTLB holds of a space. */
  invalidateSpace(space: AddressSpace): void {
    const own = this.#spaces.own(space);
    this.#trace.emit('iotlb-invalidated', own.id, 0, 0, 0);
    this.awaited.restart();
    this.#setTag(own, 0);
  }

  /**
   * An ATS translation request, through the IOTLB as any other. `access` with the write bit: NW=0. `unitLg2`: log2 of the pages of the function's Smallest
   * Translation Unit; `count`: how many of these it asks for (Length of 2 DW for each), 1 or more. `performed`: granted, with a live grant in the shadow for
   * each entry of {@link completion}, which may be fewer than asked; the result fields tell of page, range (of a unit at least) and rights of the first, which
   * may be less than asked. With U set there only untranslated requests may use the range, and no grant is made. Otherwise `no-access`: success with R=W=0;
   * `ats-forbidden`: the context does not allow it (Unsupported Request); `completer-abort`: broken tables, or no room for another grant.
   */
  translationRequest(handle: number, low: number, high: number, access: number, privileged = false, unitLg2 = 0, count = 1): number {
    const page = pageNumber(low, high);
    const status = this.#requests.answer({ context: this.#contexts[handle]!, handle, access, privileged, unitLg2, count }, page);
    if (status !== PERFORMED) return status;
    const first = this.completion[0]!;
    const lg2 = translationPagesLg2(first.low, first.high);
    const result = translationPage(first.low, first.high) + (page - alignedDown(page, lg2));
    this.#resultLow = result | 0;
    this.#resultRest = packRest(Math.floor(result / 2 ** 32), translationAccess(first.low), lg2);
    return PERFORMED;
  }

  /**
   * A request with a translated address (AT=10). `ats-forbidden`: the context does not allow it. `stale-atc`: no live grant of the function
   * names this physical page with these rights; whether it is performed all the same is the machine's choice.
   */
  translatedRequest(context: number, physicalPage: number, access: number): number {
    const { ats, grants } = this.#contexts[context]!;
    if (!ats) return ATS_FORBIDDEN;
    return grants.covers(physicalPage, access) ? PERFORMED : STALE_ATC;
  }

  /** The last grants of a function that named this physical page, newest first. */
  grantHistory(bdf: Bdf, physicalPage: number): readonly GrantHistory[] {
    return this.#shadow.of(bdf).history(physicalPage);
  }

  /**
   * Ends live grants and returns how many: what an invalidation of that range ends in the function's ATC (PCIe §10.3.8). `pages` Infinity: everything of that
   * PASID. `upTo`: only grants made while {@link grantsMade} was at most this, so that none is ended that was granted from newer tables.
   */
  revokeGrants(bdf: Bdf, pasid: Pasid, firstPage: number, pages: number, why: RevokedWhy, upTo = Infinity): number {
    return this.#shadow.of(bdf).revoke(pasid, firstPage, pages, { nowNs: this.#now(), why, upTo });
  }

  /** How many grants have been made in the life of the machine. */
  get grantsMade(): number {
    return this.#requests.grantsMade;
  }

  liveGrants(bdf: Bdf): number {
    return this.#shadow.of(bdf).live;
  }

  /** Not what the last translation found: it has been asked for by the end of its step. */
  state(fields: StateFields): void {
    fields.keep('iotlb', this.#iotlb);
    fields.keep('shadow', this.#shadow);
    fields.keep('requests', this.#requests);
    fields.keep('spaces', this.#spaces);
    this.#lastTag = fields.field('lastTag', this.#lastTag);
    fields.keep('awaited', this.awaited);
    fields.keep('contextChanges', this.contextChanges);
    fields.keep('contexts', this.#contexts);
    fields.keep('known', this.#known);
    this.#tags = fields.field('tags', this.#tags);
  }

  #setTag(space: Space, tag: number): void {
    space.tag = tag;
    space.cachedPagesLg2 = 0;
    for (const handle of space.contexts) this.#tags[handle] = tag;
  }
}
