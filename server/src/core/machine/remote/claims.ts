/** Who plays a remote function: how it is claimed, in a slot or as a function that comes with its claim. */
import { ModelError, formatBdf, type Bdf } from '../../base/index.ts';
import type { ClaimTerms, DeviceClaim, DeviceRelease } from '../command.ts';
import { hasLinkBelow } from '../errors/link.ts';
import { addFunctions } from '../hierarchy/plug.ts';
import { interruptsChanged } from '../interrupts/interrupts.ts';
import type { PeerId } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Reply } from '../reply.ts';
import type { FunctionSpec } from '../spec.ts';
import type { ClaimTask, FunctionState, Origin } from '../state.ts';
import { functionGone, removeAbsent, restart } from './absence.ts';
import { declaredFunction, isAsDeclared, refuseComing, type Declared } from './declared-function.ts';
import { toldConfig } from './own-config.ts';

/** 1, 2, 4 and 8. */
const WIDTHS = 15;
/** From the link's being up until configuration requests are answered (PCIe Base r6.0 §6.6.1). Integrated functions, and those of a conventional bus, have no link. */
const LINK_NS = 100_000_000;

/**
 * The function there, or with `declare` the one that it says: in place of what stands in the slot where that is another one, or in the empty slot of a port.
 * ModelError for what cannot be.
 */
export function deviceClaim(m: Parts, origin: Origin, peerId: PeerId, command: DeviceClaim): void {
  const terms = termsOf(command);
  const declared = command.declare === undefined ? undefined : declaredFunction(m, command, command.declare);
  const bdf = declared?.spec.bdf ?? command.bdf;
  if (bdf === undefined) throw new ModelError('EINVAL', 'no function is named, and none is declared', 'function');
  const fn = m.functions.get(bdf);
  if (fn === undefined) {
    come(m, origin, peerId, terms, declared ?? slotAt(m, bdf));
    return;
  }
  checkClaimable(fn);
  if (fn.claimedBy !== 0) {
    m.outbox.refuse(origin, 'EBUSY', `${formatBdf(bdf)} is claimed by another peer`, 'function');
  } else if (declared === undefined || isAsDeclared(fn, declared.spec)) {
    take(m, origin, peerId, terms, fn);
  } else {
    replace(m, origin, peerId, terms, fn, declared);
  }
}

function checkClaimable({ bdf, spec }: FunctionState): void {
  if (spec.model === 'remote') return;
  throw new ModelError('EOPNOTSUPP', `${formatBdf(bdf)} is a ${spec.model}; only a remote function can be claimed`, 'function');
}

function termsOf({
  config = 'server',
  postedWrites = false,
  widths = WIDTHS,
  writeMulti = false,
  ownAtc = false,
  resetDeadlineMs,
}: DeviceClaim): ClaimTerms {
  if (widths < 1 || widths > WIDTHS) throw new ModelError('EINVAL', `widths is ${widths}; it is 1, 2, 4 and 8 added up`, 'widths');
  return { config, postedWrites, widths, writeMulti, ownAtc, resetDeadlineMs };
}

/** What the topology had there, which has been taken out since. */
function slotAt(m: Parts, bdf: Bdf): Declared {
  const spec = m.spec.functions.find((one) => one.bdf === bdf && one.model === 'remote');
  if (spec === undefined) throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)} in machine "${m.spec.name}"`, 'function');
  return { spec, port: undefined, plugged: false };
}

function come(m: Parts, origin: Origin, peerId: PeerId, terms: ClaimTerms, declared: Declared): void {
  const refusal = refuseComing(m, declared);
  if (refusal !== undefined) {
    m.outbox.refuse(origin, 'EBUSY', refusal, 'port');
    return;
  }
  const fn = add(m, declared.spec);
  fn.comesWithClaim = declared.plugged;
  take(m, origin, peerId, terms, fn);
}

function add(m: Parts, spec: FunctionSpec): FunctionState {
  const parent = m.topology.parentBridge(spec.bdf);
  const above = parent === undefined ? undefined : m.functions.get(parent);
  const overLink = above !== undefined && hasLinkBelow(above);
  const [fn] = addFunctions(m, [spec], { reason: 'plugged', readyNs: overLink ? LINK_NS : 0 });
  return fn!;
}

function take(m: Parts, origin: Origin, peerId: PeerId, terms: ClaimTerms, fn: FunctionState): void {
  const name = formatBdf(fn.bdf);
  const restarted = fn.absentOf !== 0;
  fn.claimedBy = peerId;
  fn.absentOf = 0;
  fn.claim = { ...terms, told: new Uint8Array(fn.config.bytes), changes: 0, resets: 0, differs: new Set() };
  toldConfig(fn);
  if (terms.config === 'emulator') m.ownConfigs.add(fn);
  interruptsChanged(m, fn);
  m.outbox.log('info', fn.bdf, restarted ? `${name} is back: it was claimed again` : `${name} was claimed`);
  m.outbox.reply(origin, { kind: 'device-claim', bdf: fn.bdf, config: fn.config.image(), restarted, elapsedNs: m.outbox.elapsed(origin) });
  if (restarted) restart(m, fn);
}

/** What stands in the slot goes, and what was declared comes: to hosts a device that was pulled out and another that was put in. */
function replace(m: Parts, origin: Origin, peerId: PeerId, terms: ClaimTerms, fn: FunctionState, declared: Declared): void {
  const mutex = fn.device === undefined ? undefined : m.operations.mutexes.get(fn.device.group.id);
  if (fn.resetHolder !== 0 || fn.leaving !== 0 || (mutex !== undefined && mutex.holder !== 0)) {
    m.outbox.refuse(origin, 'EBUSY', `a call has ${formatBdf(fn.bdf)}, which is to be replaced; claim it again`, 'function');
    return;
  }
  const { spec } = declared;
  const task = m.operations.start<ClaimTask>(origin, { kind: 'claim', owner: peerId, terms, spec, comesWithClaim: fn.comesWithClaim });
  removeAbsent(m, { operation: task.id, sinceNs: m.clock.nowNs }, fn);
}

/** What stood in the slot is gone. */
export function claimPartAnswered(m: Parts, task: ClaimTask, reply: Reply): void {
  m.operations.end(task);
  if (reply.kind === 'refused') {
    m.outbox.refuse(task.origin, reply.code, reply.message, 'function');
    return;
  }
  if (m.functions.has(task.spec.bdf)) {
    m.outbox.refuse(task.origin, 'EBUSY', `${formatBdf(task.spec.bdf)} was plugged in by another`, 'function');
    return;
  }
  const fn = add(m, task.spec);
  fn.comesWithClaim = task.comesWithClaim;
  // Where its peer has gone meanwhile nobody plays it.
  if (m.peers.get(task.owner) !== undefined) take(m, task.origin, task.owner, task.terms, fn);
}

/** Given up, for good: one that came with its claim goes with it. */
export function deviceRelease(m: Parts, origin: Origin, peerId: PeerId, fn: FunctionState, command: DeviceRelease): void {
  if (fn.claimedBy !== peerId) throw new ModelError('EPERM', `${formatBdf(command.bdf)} is not claimed by this peer`, 'function');
  functionGone(m, fn);
  if (fn.comesWithClaim) removeAbsent(m, origin, fn);
  else m.outbox.ok(origin);
}
