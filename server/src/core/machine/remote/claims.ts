/** Who plays a remote function: its claim, and what its end does. */
import { ModelError, NO_PASID, formatBdf } from '../../base/index.ts';
import { answerPageRequests } from '../ats/page-faults.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import type { DeviceClaim, DeviceRelease } from '../command.ts';
import { abortLedger } from '../dma/dma-drain.ts';
import { dropInvalidations } from '../errors/cut-off.ts';
import { interruptsChanged } from '../interrupts/interrupts.ts';
import { setInterruptCause } from '../interrupts/intx.ts';
import type { PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import { functionMayBeReady } from '../reset/hardware-reset.ts';
import type { FunctionState, Origin } from '../state.ts';
import { toldConfig, unclaim } from './own-config.ts';

/** 1, 2, 4 and 8. */
const WIDTHS = 15;

export function deviceClaim(m: Parts, origin: Origin, peerId: PeerId, fn: FunctionState, command: DeviceClaim): void {
  const { config = 'server', postedWrites = false, widths = WIDTHS, writeMulti = false, ownAtc = false } = command;
  const name = formatBdf(command.bdf);
  if (fn.spec.model !== 'remote') {
    throw new ModelError('EOPNOTSUPP', `${name} is a ${fn.spec.model}; only a remote function can be claimed`, 'function');
  }
  if (widths < 1 || widths > WIDTHS) throw new ModelError('EINVAL', `widths is ${widths}; it is 1, 2, 4 and 8 added up`, 'widths');
  if (fn.claimedBy !== 0) {
    m.outbox.refuse(origin, 'EBUSY', `${name} is claimed by another peer`, 'function');
    return;
  }
  fn.claimedBy = peerId;
  const told = new Uint8Array(fn.config.bytes);
  fn.claim = { config, postedWrites, widths, writeMulti, ownAtc, told, changes: 0, resets: 0, differs: new Set() };
  toldConfig(fn);
  if (config === 'emulator') m.ownConfigs.add(fn);
  interruptsChanged(m, fn);
  m.outbox.log('info', fn.bdf, `${name} was claimed`);
  m.outbox.reply(origin, { kind: 'device-claim', config: fn.config.image(), elapsedNs: m.outbox.elapsed(origin) });
}

export function deviceRelease(m: Parts, origin: Origin, peerId: PeerId, fn: FunctionState, command: DeviceRelease): void {
  if (fn.claimedBy !== peerId) throw new ModelError('EPERM', `${formatBdf(command.bdf)} is not claimed by this peer`, 'function');
  functionGone(m, fn);
  m.outbox.ok(origin);
}

/** What was cached went with the peer, and whoever comes has to ask anew. Invalidations: in `strict` as unsupported at once; Linux awaits each until its time is up. */
function loseTranslations(m: Parts, fn: FunctionState): void {
  fn.model.atc?.clear();
  m.translation.revokeGrants(fn.bdf, NO_PASID, 0, Infinity, 'invalidated');
  if (m.strict) dropInvalidations(m, fn);
}

/** Nobody plays the function any more: what it had in flight is dropped, and it issues nothing. */
export function functionGone(m: Parts, fn: FunctionState): void {
  unclaim(m, fn);
  setInterruptCause(m, fn, false);
  abortLedger(m, fn);
  loseTranslations(m, fn);
  answerPageRequests(m, fn);
  forgetPageRequests(m, fn);
  functionMayBeReady(m, fn);
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)} is absent: its peer is gone`);
}
