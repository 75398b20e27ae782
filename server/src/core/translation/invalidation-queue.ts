/**
 * ATS invalidations in flight (PCIe §10.3): ITags, completion counts, timeouts, and completions that come too late.
 *
 * Pure state: what must happen outside (delivering a request, setting its alarm, going on after it) is left as effects that the machine takes.
 *
 * A tag whose request timed out is in debt: its function may still complete that request. Such a tag is used again only when every other one
 * is in debt too, and a completion always pays the debt before it counts for a newer request. So a late completion never
 * completes a new request; where a function never answered the old one, the new one times out although it was answered, which is the safe
 * way to be wrong. A function reset clears debts: the function has forgotten its requests.
 */
import { ITAGS, ModelError, alignedDown, assert, spanLg2 } from '../base/index.ts';
import type { Bdf, Pasid, StateFields, Trace } from '../base/index.ts';
import { freeTag, type Destination, type Tag } from './invalidation-tags.ts';

/** One Invalidate Request. */
export interface Invalidation {
  readonly id: number;
  readonly bdf: Bdf;
  readonly pasid: Pasid;
  /** What the request names, in the only way that it can: 2^n pages, aligned by that (S and the size code, PCIe §10.3.1). Infinity: everything. */
  readonly firstPage: number;
  readonly pages: number;
  /** What it was made for, which may be less. */
  readonly askedFirst: number;
  readonly askedPages: number;
  /** Ids of the address spaces whose translations it takes. */
  readonly spaces: readonly number[];
  /** Whom the machine tells when it has settled. */
  readonly waiter: number;
  /** -1 while it waits for a tag. */
  readonly itag: number;
  readonly sentNs: number;
  /** Grants of the machine when it was asked for: later ones are not its business. Infinity where the queue was not told. */
  readonly grantsMade: number;
}

export type InvalidationEffect =
  /** Deliver it to the function and set the timeout's alarm, keyed by the invalidation's id. */
  | { readonly kind: 'send'; readonly invalidation: Invalidation }
  /** Over: completed or answered Unsupported Request, or timed out. */
  | { readonly kind: 'settled'; readonly invalidation: Invalidation; readonly timedOut: boolean }
  /** A completion with another count than those before it of the same request. It does not count. */
  | { readonly kind: 'miscounted'; readonly invalidation: Invalidation; readonly count: number; readonly was: number };

/** The widest completion count: one for each traffic class. */
const COMPLETIONS_MAX = 8;

const NO_SPACES: readonly number[] = [];

export class InvalidationQueue {
  readonly #trace: Trace;
  readonly #now: () => number;
  readonly #grantsMade: () => number;
  readonly #destinations = new Map<Bdf, Destination>();
  /** Not settled, by id: waiting or in flight. */
  readonly #pending = new Map<number, Invalidation>();
  #effects: InvalidationEffect[] = [];
  #lastId = 0;
  #late = 0;
  #miscounted = 0;

  /** `grantsMade`: what an {@link Invalidation} notes when it is asked for. */
  constructor(ports: { readonly trace: Trace; readonly now: () => number; readonly grantsMade?: () => number }) {
    this.#trace = ports.trace;
    this.#now = ports.now;
    this.#grantsMade = ports.grantsMade ?? (() => Infinity);
  }

  /**
   * Asks a function to invalidate a range, or the smallest that a request can name with that in it, and returns the invalidation's id. It goes out at once if a tag is free and fewer than `depth`
   * (the function's Invalidate Queue Depth, 1 to 32) are in flight; otherwise in its turn.
   */
  request(
    bdf: Bdf,
    pasid: Pasid,
    askedFirst: number,
    askedPages: number,
    waiter: number,
    depth: number,
    spaces: readonly number[] = NO_SPACES,
  ): number {
    assert(Number.isInteger(depth) && depth >= 1 && depth <= ITAGS, `invalidate queue depth ${depth}`);
    const id = ++this.#lastId;
    const grantsMade = this.#grantsMade();
    const lg2 = askedPages === Infinity ? 0 : spanLg2(askedFirst, askedPages);
    const firstPage = alignedDown(askedFirst, lg2);
    const pages = askedPages === Infinity ? Infinity : 2 ** lg2;
    const range = { firstPage, pages, askedFirst, askedPages };
    const invalidation = { id, bdf, pasid, ...range, spaces, waiter, itag: -1, sentNs: 0, grantsMade };
    const destination = this.#destinationOf(bdf);
    destination.depth = depth;
    destination.waiting.push(invalidation);
    this.#pending.set(id, invalidation);
    this.#send(destination);
    return id;
  }

  /**
   * An Invalidate Completion message: the tags that it names, and how many such messages each request gets (CC, 1 to 8). A tag that answers no
   * request in flight is counted in {@link lateCompletions} and otherwise ignored. `EINVAL` for another count.
   */
  complete(bdf: Bdf, itagVector: number, completionCount: number): void {
    if (!Number.isInteger(completionCount) || completionCount < 1 || completionCount > COMPLETIONS_MAX) {
      throw new ModelError('EINVAL', `completionCount ${completionCount} is not 1 to ${COMPLETIONS_MAX}`, 'completionCount');
    }
    const destination = this.#destinationOf(bdf);
    for (const [itag, tag] of destination.tags.entries()) {
      if (((itagVector >>> itag) & 1) !== 0) this.#completeTag(bdf, tag, itag, completionCount);
    }
    this.#send(destination);
  }

  /** The alarm of a request rang. Nothing if it has settled; otherwise it has failed, and its tag is in debt. */
  timeout(id: number): void {
    const invalidation = this.#pending.get(id);
    if (invalidation === undefined) return;
    this.#trace.emit('invalidation-timeout', invalidation.bdf, invalidation.itag);
    this.#settle(invalidation, true);
    this.#send(this.#destinationOf(invalidation.bdf));
  }

  /** The function answered Unsupported Request: it has no ATC, and the request is complete without error. */
  unsupported(id: number): void {
    const invalidation = this.#pending.get(id);
    if (invalidation === undefined) return;
    this.#trace.emit('invalidation-completed', invalidation.bdf, invalidation.itag);
    this.#settle(invalidation, false);
    this.#send(this.#destinationOf(invalidation.bdf));
  }

  /**
   * The function was reset: it has forgotten every request. Tags in flight stay so until they time out; debts are cleared. Completions that
   * it sent before the reset have been delivered or dropped by now.
   */
  functionReset(bdf: Bdf): void {
    const destination = this.#destinations.get(bdf);
    if (destination === undefined) return;
    for (const tag of destination.tags) {
      if (tag.debt > 0 || tag.inFlight === undefined) tag.completions = 0;
      tag.debt = 0;
      tag.lost = tag.inFlight !== undefined;
    }
    this.#send(destination);
  }

  /**
   * The function is no longer there: what was sent to it comes back as an Unsupported Request, which completes without error, and what waits for a tag with
   * it. One that comes to its place finds every tag free.
   */
  functionGone(bdf: Bdf): void {
    for (const id of this.pendingIds(bdf)) {
      const invalidation = this.#pending.get(id);
      if (invalidation === undefined) continue;
      this.#trace.emit('invalidation-completed', bdf, invalidation.itag);
      this.#settle(invalidation, false);
    }
    this.#destinations.delete(bdf);
  }

  /** Requests that hold a tag. */
  outstanding(bdf: Bdf): number {
    return this.#destinations.get(bdf)?.busy ?? 0;
  }

  /** Requests that wait for a tag. */
  waiting(bdf: Bdf): number {
    return this.#destinations.get(bdf)?.waiting.length ?? 0;
  }

  /** Ids of all requests that have not settled, oldest first. */
  pendingIds(bdf: Bdf): readonly number[] {
    return [...this.#pending.values()].filter((invalidation) => invalidation.bdf === bdf).map(({ id }) => id);
  }

  /** Ids of those that take translations of these pages of a space, oldest first. */
  pendingIn(space: number, firstPage: number, pages: number): readonly number[] {
    const ids: number[] = [];
    if (pages === 0) return ids;
    for (const other of this.#pending.values()) {
      const overlaps = other.askedFirst < firstPage + pages && firstPage < other.askedFirst + other.askedPages;
      if (overlaps && other.spaces.includes(space)) ids.push(other.id);
    }
    return ids;
  }

  /** Completions for a tag with no request in flight, or for one that had timed out. */
  get lateCompletions(): number {
    return this.#late;
  }

  /** Completions that said another count than those before them of the same request. */
  get miscountedCompletions(): number {
    return this.#miscounted;
  }

  /** Takes what has gathered since the last call, in order. */
  takeEffects(): readonly InvalidationEffect[] {
    const effects = this.#effects;
    if (effects.length > 0) this.#effects = [];
    return effects;
  }

  state(fields: StateFields): void {
    fields.keep('destinations', this.#destinations);
    fields.keep('pending', this.#pending);
    this.#effects = fields.field('effects', this.#effects);
    this.#lastId = fields.field('lastId', this.#lastId);
    this.#late = fields.field('late', this.#late);
    this.#miscounted = fields.field('miscounted', this.#miscounted);
  }

  #completeTag(bdf: Bdf, tag: Tag, itag: number, count: number): void {
    const invalidation = tag.debt > 0 ? undefined : tag.inFlight;
    if (invalidation === undefined) {
      this.#late++;
      this.#trace.emit('invalidation-late', bdf, itag);
      if (tag.debt > 0 && ++tag.completions >= count) {
        tag.debt--;
        tag.completions = 0;
      }
      return;
    }
    if (tag.completions > 0 && tag.count !== count) {
      this.#miscounted++;
      this.#effects.push({ kind: 'miscounted', invalidation, count, was: tag.count });
      return;
    }
    tag.count = count;
    tag.completions++;
    this.#trace.emit('invalidation-answered', bdf, itag, tag.completions, count);
    if (tag.completions < count) return;
    this.#trace.emit('invalidation-completed', bdf, itag);
    this.#settle(invalidation, false);
  }

  /** Frees the tag, or the place in the line. The caller then sends what waits: not before it has read a whole ITag vector. */
  #settle(invalidation: Invalidation, timedOut: boolean): void {
    this.#pending.delete(invalidation.id);
    this.#effects.push({ kind: 'settled', invalidation, timedOut });
    const destination = this.#destinationOf(invalidation.bdf);
    const tag = destination.tags[invalidation.itag];
    if (tag === undefined) {
      destination.waiting.splice(destination.waiting.indexOf(invalidation), 1);
      return;
    }
    if (timedOut && !tag.lost) tag.debt++;
    else if (tag.debt === 0) tag.completions = 0;
    tag.inFlight = undefined;
    destination.busy--;
    tag.lost = false;
  }

  /** Sends what waits, while tags and the function's queue allow. */
  #send(destination: Destination): void {
    for (;;) {
      const next = destination.waiting[0];
      const itag = next === undefined ? -1 : freeTag(destination);
      const tag = destination.tags[itag];
      if (next === undefined || tag === undefined) return;
      destination.waiting.shift();
      const invalidation: Invalidation = { ...next, itag, sentNs: this.#now() };
      tag.inFlight = invalidation;
      destination.busy++;
      this.#pending.set(next.id, invalidation);
      this.#trace.emit('invalidation-sent', next.bdf, itag, next.firstPage, Number.isFinite(next.pages) ? next.pages : 0);
      this.#effects.push({ kind: 'send', invalidation });
    }
  }

  #destinationOf(bdf: Bdf): Destination {
    let destination = this.#destinations.get(bdf);
    if (destination === undefined) {
      const tags = Array.from({ length: ITAGS }, (): Tag => ({ inFlight: undefined, completions: 0, count: 0, debt: 0, lost: false }));
      this.#destinations.set(bdf, (destination = { tags, busy: 0, waiting: [], depth: ITAGS }));
    }
    return destination;
  }
}
