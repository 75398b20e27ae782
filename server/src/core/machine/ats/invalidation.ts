/** Invalidate Requests on their way to functions, and what their end means (PCIe §10.3). */
import {
  ModelError,
  NO_PASID,
  PAGE_BYTES,
  alignedDown,
  formatBdf,
  pageHigh,
  pageLow,
  pageNumber,
  translationPagesLg2,
} from '../../base/index.ts';
import type { IommuEffect } from '../../iommu/index.ts';
import type { Invalidation, InvalidationEffect } from '../../translation/index.ts';
import { stopsDelivery } from '../calls/call-holds.ts';
import type { InvalidateComplete } from '../command.ts';
import { awaitPassed, awaitTranslated } from '../dma/dma-drain.ts';
import { LEDGER_ENTRIES_MAX, advance } from '../dma/dma-ledger.ts';
import { faultActs, isDisconnected } from '../dma/gate.ts';
import { enterMessage } from '../dma/ledger-message.ts';
import { awaitUpdates } from '../domains/table-updates.ts';
import { isLost } from '../errors/link.ts';
import type { PeerAnswer } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Operation, Origin } from '../state.ts';
import { forgetGathered } from './gathered.ts';

/** ITags 0 to 31 as the bits of a vector. */
const ITAG_VECTOR_MAX = 0xffff_ffff;

/** Does what the IOMMU core asks; `operation` awaits the invalidations and the settling. */
export function applyEffects(m: Parts, operation: Operation | undefined, effects: readonly IommuEffect[]): void {
  for (const effect of effects) {
    const fn = m.functions.get(effect.device.bdf);
    if (fn === undefined) continue;
    switch (effect.kind) {
      case 'settle':
        if (operation === undefined) break;
        awaitTranslated(fn, effect.space.id, 0, Infinity, operation);
        awaitUpdates(m, fn, operation);
        break;
      case 'invalidate':
        m.invalidations.request(
          fn.bdf,
          effect.pasid,
          effect.firstPage,
          effect.pages,
          operation?.id ?? 0,
          effect.device.invalidateQueueDepth,
          effect.spaces.map((space) => space.id),
        );
        if (operation !== undefined) operation.pending++;
        break;
      case 'ats-enable':
        setAtsEnable(m, fn, effect.on);
        break;
      case 'warning':
        m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} ${effect.text}`);
        break;
    }
  }
}

/** A Clear-to-Set change of ATS Enable empties the ATC (PCIe §10.3.7), unless the function is told not to comply. */
export function setAtsEnable(m: Parts, fn: FunctionState, on: boolean): void {
  if (on && !fn.config.atsEnabled && !fn.atcKept) fn.model.atc?.clear();
  fn.config.setAtsEnable(on);
  m.trace.emit('ats-enable', fn.bdf, on ? 1 : 0);
}

/** `operation` awaits every Invalidate Request of the function that has been sent or waits for a tag. */
export function awaitInvalidations(m: Parts, fn: FunctionState, operation: Operation): void {
  watch(m, m.invalidations.pendingIds(fn.bdf), operation);
}

/** `operation` awaits every Invalidate Request that takes translations of these pages of a space, whichever function it went to. */
export function awaitInvalidationsOf(m: Parts, spaceId: number, firstPage: number, pages: number, operation: Operation): void {
  watch(m, m.invalidations.pendingIn(spaceId, firstPage, pages), operation);
}

function watch(m: Parts, ids: readonly number[], operation: Operation): void {
  for (const id of ids) {
    const watchers = m.operations.invalidationWatchers.get(id);
    if (watchers === undefined) m.operations.invalidationWatchers.set(id, [operation.id]);
    else watchers.push(operation.id);
    operation.pending++;
  }
}

export function handleInvalidation(m: Parts, effect: InvalidationEffect): void {
  if (effect.kind === 'send') send(m, effect.invalidation);
  else if (effect.kind === 'settled') settled(m, effect.invalidation, effect.timedOut);
  else miscounted(m, effect);
}

/** All Invalidate Completions of one request carry the same count (PCIe §10.3.2). */
function miscounted(m: Parts, { invalidation, count: said, was }: Extract<InvalidationEffect, { kind: 'miscounted' }>): void {
  const { bdf, itag } = invalidation;
  const text = `completes an Invalidate Request (ITag ${itag}) with a completion count of ${said}, and before that one of ${was}; it does not count`;
  m.outbox.log('warn', bdf, `${formatBdf(bdf)} ${text}`);
}

function send(m: Parts, invalidation: Invalidation): void {
  if (m.spec.iommu === undefined) return;
  const { id } = invalidation;
  m.invalidationAlarms.set(id, m.clock.set(m.spec.iommu.invalidationTimeoutNs, 'invalidation', id));
  if (!stopsDelivery(m, invalidation)) deliver(m, invalidation);
}

/** It reaches the function. */
export function deliver(m: Parts, invalidation: Invalidation): void {
  const fn = m.functions.get(invalidation.bdf);
  if (fn === undefined) return;
  const { id } = invalidation;
  const { atc } = fn.model;
  if (!canComplete(m, fn) || faultActs(fn, 'ignore-invalidations') !== undefined) {
    m.trace.emit('invalidation-ignored', fn.bdf, invalidation.itag);
    return;
  }
  if (atc === undefined || isDisconnected(fn)) {
    m.invalidations.unsupported(id);
    return;
  }
  if (fn.claim?.ownAtc === true) {
    forward(m, fn, invalidation);
    return;
  }
  const dropped = atc.invalidate(invalidation.pasid, NO_PASID, invalidation.firstPage, invalidation.pages);
  m.trace.emit('ats-dropped', fn.bdf, invalidation.firstPage, dropped);
  overtakeTranslations(fn, invalidation);
  completeRequest(m, fn, invalidation.itag);
}

/** The ATC has done it. */
function completeRequest(m: Parts, fn: FunctionState, itag: number): void {
  const itags = 1 << (itag ^ (faultActs(fn, 'wrong-itag') === undefined ? 0 : 1));
  const together = faultActs(fn, 'coalesced-completions');
  if (together !== undefined) {
    gather(m, fn, itags, together.delayNs);
    return;
  }
  const late = faultActs(fn, 'late-invalidations');
  answer(m, fn, itags, late?.delayNs ?? 0, late !== undefined);
  if (faultActs(fn, 'duplicate-completions') !== undefined) answer(m, fn, itags, late?.delayNs ?? 0, late !== undefined);
}

const PAGES_OF_64_BITS = 2 ** 52;

/** Its peer keeps the ATC: it is asked, and the machine's clock waits for it. */
function forward(m: Parts, fn: FunctionState, { itag, pasid, firstPage, pages }: Invalidation): void {
  const peer = m.peers.get(fn.claimedBy);
  if (peer === undefined) return;
  const iova = BigInt(firstPage) * BigInt(PAGE_BYTES);
  // All addresses of 64 bits are everything, and their number does not fit 64 bits.
  const bytes = pages >= PAGES_OF_64_BITS ? undefined : BigInt(pages) * BigInt(PAGE_BYTES);
  const call = { kind: 'device-invalidate', bdf: fn.bdf, itag, pasid, iova, bytes } as const;
  m.peers.call(peer, call, { kind: 'invalidation', index: fn.index, itag, life: fn.modelLife });
}

/** The peer has answered. One that it had before a reset is forgotten, and one that it completes later it completes by {@link invalidateComplete}. */
export function forwardedAnswered(m: Parts, fn: FunctionState, itag: number, life: number, said: PeerAnswer): void {
  if (said.kind === 'error') {
    m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} does not complete an Invalidate Request (ITag ${itag}): ${said.message}`);
  } else if (said.kind === 'ok' && life === fn.modelLife && canComplete(m, fn)) {
    completeRequest(m, fn, itag);
  }
}

/** An Invalidate Completion that a peer makes of its own. */
export function invalidateComplete(m: Parts, origin: Origin, fn: FunctionState, { itags, completions }: InvalidateComplete): void {
  if (fn.claim?.ownAtc !== true) {
    const text = `the ATC of ${formatBdf(fn.bdf)} is the server's, which completes its invalidations; claim the function with an ATC of your own`;
    throw new ModelError('EOPNOTSUPP', text, 'function');
  }
  if (!Number.isInteger(itags) || itags < 1 || itags > ITAG_VECTOR_MAX) {
    throw new ModelError('EINVAL', `an Invalidate Completion names 1 to 32 ITags, and ${itags} is no vector of them`, 'itags');
  }
  if (fn.entries.length >= LEDGER_ENTRIES_MAX) {
    m.outbox.refuse(
      origin,
      'EAGAIN',
      `${formatBdf(fn.bdf)} has ${fn.entries.length} requests in flight already; let some go first`,
      'function',
    );
    return;
  }
  if (canComplete(m, fn)) answer(m, fn, itags | 0, 0, false, completions);
  // Whether something waited for a posted one shows when it arrives.
  if (!('token' in origin) || origin.token !== 0) m.outbox.ok(origin);
}

/** In D3hot it cannot send an Invalidate Completion. */
function canComplete(m: Parts, fn: FunctionState): boolean {
  return !isLost(m, fn) && !fn.resetting && fn.config.powerState === 0;
}

/** One message may complete several requests (PCIe §10.3.2). Not an entry of the ledger while it waits: it stands behind the writes that are issued meanwhile. */
function gather(m: Parts, fn: FunctionState, itags: number, delayNs: number): void {
  fn.gathered ??= { itags: 0, alarm: delayNs > 0 ? m.clock.set(delayNs, 'gathered', fn.index) : 0 };
  fn.gathered.itags |= itags;
  if (!fn.armed.has('coalesced-completions')) sendGathered(m, fn);
}

export function sendGathered(m: Parts, fn: FunctionState): void {
  const { gathered } = fn;
  if (gathered === undefined) return;
  forgetGathered(m, fn);
  answer(m, fn, gathered.itags, 0, false);
}

/** The Invalidate Completion is a posted message: it stands behind the writes that the function issued earlier. */
function answer(m: Parts, fn: FunctionState, itags: number, delayNs: number, held: boolean, completions = 1): void {
  enterMessage(m, fn, 'invalidation-completion', { itags, completions, holdAt: held ? 'issued' : undefined, holdNs: delayNs });
  advance(m, fn);
}

/** A translation completion still on its way must not be cached once the invalidation is answered. */
function overtakeTranslations(fn: FunctionState, { pasid, firstPage, pages }: Invalidation): void {
  for (const request of fn.entries) {
    const { task } = request;
    if (request.kind !== 'translation' || request.point === 'issued' || task?.completion === undefined) continue;
    const { low, high } = task.completion[0]!;
    if (pasid !== NO_PASID && pasid !== request.pasid) continue;
    const page = pageNumber(pageLow(request.iovaLow, request.iovaHigh), pageHigh(request.iovaHigh));
    const lg2 = translationPagesLg2(low, high);
    const first = alignedDown(page, lg2);
    const everywhere = pasid === NO_PASID && request.pasid !== NO_PASID;
    if (everywhere || (first < firstPage + pages && firstPage < first + task.completion.length * 2 ** lg2)) request.overtaken = true;
  }
}

function settled(m: Parts, invalidation: Invalidation, timedOut: boolean): void {
  const { bdf, itag, pasid } = invalidation;
  m.clock.cancel(timedOut ? 0 : (m.invalidationAlarms.get(invalidation.id) ?? 0));
  m.invalidationAlarms.delete(invalidation.id);
  // A function that did not answer may go on using what is still mapped round the range.
  const [first, pages] = timedOut ? [invalidation.askedFirst, invalidation.askedPages] : [invalidation.firstPage, invalidation.pages];
  m.translation.revokeGrants(bdf, pasid, first, pages, timedOut ? 'timed-out' : 'invalidated', invalidation.grantsMade);
  if (timedOut) {
    m.outbox.log('warn', bdf, `${formatBdf(bdf)} did not answer an Invalidate Request (ITag ${itag}) in time`);
    const device = m.iommu?.device(bdf);
    if (m.strict && device !== undefined) m.iommu?.refuseTranslated(device);
  }
  const watchers = m.operations.invalidationWatchers.get(invalidation.id) ?? [];
  m.operations.invalidationWatchers.delete(invalidation.id);
  for (const id of [invalidation.waiter, ...watchers]) count(m, id, timedOut, m.strict ? m.functions.get(bdf) : undefined);
}

/** `strict`: the completion, which stands behind what the ATC has let through until then, does not come; that itself is awaited in its place. */
function count(m: Parts, id: number, timedOut: boolean, fn: FunctionState | undefined): void {
  const operation = m.operations.get(id);
  if (operation === undefined) return;
  if (timedOut && fn !== undefined) awaitPassed(fn, operation);
  if (timedOut) operation.timedOut++;
  else operation.completed++;
  m.operations.settle(id);
}
