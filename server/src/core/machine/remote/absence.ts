/**
 * A remote function that nobody plays. Where its emulator has vanished it is absent for a grace time (wall clock, whose end is an input of the machine): reads
 * are all ones, it issues nothing, its domains and configuration space stand. Claimed again within it, it is reset, and hosts see no more than that; after it, it
 * is pulled out.
 */
import { NO_PASID, formatBdf } from '../../base/index.ts';
import { answerPageRequests } from '../ats/page-faults.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import type { GraceOver } from '../command.ts';
import { abortLedger } from '../dma/dma-drain.ts';
import { dropInvalidations } from '../errors/cut-off.ts';
import { pullOut, removeAll } from '../hierarchy/unplug.ts';
import { setInterruptCause } from '../interrupts/intx.ts';
import type { PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import { functionMayBeReady } from '../reset/hardware-reset.ts';
import { resetModel } from '../reset/model-life.ts';
import { enabledMethods } from '../reset/reset-methods.ts';
import { startReset } from '../reset/reset.ts';
import type { FunctionState, Origin } from '../state.ts';
import { memoryGone } from './absent-memory.ts';
import { unclaim } from './own-config.ts';

/** Nobody plays the function any more: what it had in flight is dropped, and it issues nothing. */
export function functionGone(m: Parts, fn: FunctionState): void {
  unclaim(m, fn);
  resetModel(m, fn);
  setInterruptCause(m, fn, false);
  abortLedger(m, fn);
  loseTranslations(m, fn);
  answerPageRequests(m, fn);
  forgetPageRequests(m, fn);
  functionMayBeReady(m, fn);
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} is absent: its peer is gone`);
}

/** The same where it may come back. */
export function functionVanished(m: Parts, fn: FunctionState, peer: PeerId): void {
  functionGone(m, fn);
  fn.absentOf = peer;
}

/** What was cached went with the peer, and whoever comes has to ask anew. Invalidations: in `strict` as unsupported at once; Linux awaits each until its time is up. */
function loseTranslations(m: Parts, fn: FunctionState): void {
  fn.model.atc?.clear();
  m.translation.revokeGrants(fn.bdf, NO_PASID, 0, Infinity, 'invalidated');
  if (m.strict) dropInvalidations(m, fn);
}

/**
 * It was claimed again: what it was doing is lost, and what hosts have set up stands. As Linux would by hand: its drivers are told, it is reset in a window, and
 * its configuration space is restored. Behind a reset that runs.
 */
export function restart(m: Parts, fn: FunctionState): void {
  const methods = enabledMethods(m, fn);
  if (methods.length === 0) {
    m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} has no reset method: its driver is not told that it began anew`);
    return;
  }
  startReset(m, nobody(m), {
    goal: 'function',
    bdf: fn.bdf,
    methods,
    whole: true,
    window: true,
    tryLock: false,
    deadlineNs: 0,
    onDeadline: 'abort',
  });
}

/** grace-over: functions that have not been claimed again are pulled out, and memory is gone. */
export function graceOver(m: Parts, origin: Origin, { functions, memory = [] }: GraceOver): void {
  for (const bdf of functions) {
    const fn = m.functions.get(bdf);
    if (fn === undefined || fn.absentOf === 0) continue;
    fn.absentOf = 0;
    if (fn.leaving !== 0) continue;
    m.outbox.log('warn', bdf, `${formatBdf(bdf)} has not come back: it is pulled out`);
    removeAbsent(m, nobody(m), fn);
  }
  memoryGone(m, memory);
  m.outbox.ok(origin);
}

/** Surprise removal. */
export function removeAbsent(m: Parts, origin: Origin, fn: FunctionState): void {
  removeAll(m, origin, fn.bdf, [fn], { surprise: true, deadlineNs: 0, reason: 'surprise' }, pullOut(m, [fn]));
}

/** Whoever is at this origin gets no reply. */
function nobody(m: Parts): Origin {
  return { peer: 0, token: 0, sinceNs: m.clock.nowNs };
}
