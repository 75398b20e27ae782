/** Configuration space and BAR accesses of a host. */
import { ModelError, REGION, formatBdf, hex } from '../base/index.ts';
import {
  CONFIG_EFFECT,
  accessVpd,
  asksForVpd,
  assertsBusReset,
  assignMessageNumbers,
  checkConfigAccess,
  completeSlotCommand,
  hasPortCauses,
  isContaining,
  losesContextInD3,
  sriovOf,
  writesSlotControl,
} from '../pci/index.ts';
import { setAtsEnable } from './ats/invalidation.ts';
import { forgetPageRequests, roomChanged } from './ats/page-requester.ts';
import { captureBus } from './bus/captured-bus.ts';
import type { ConfigRead, RegionRead, RegionWrite, RegionWriteItem } from './command.ts';
import { allOnes, answersConfig, holdsBackLater, showsRetry } from './dma/gate.ts';
import { withWatcher } from './dma/watchers.ts';
import { reportError, softwareTrigger } from './errors/bus-errors.ts';
import { isLost, linkComesUp } from './errors/link.ts';
import { functionNumbered } from './function-state.ts';
import { warnOfOverlaps } from './hierarchy/overlaps.ts';
import { followSriov } from './hierarchy/virtual-functions.ts';
import { interruptsChanged } from './interrupts/interrupts.ts';
import { hasVectorsAt, readVectors, writeVectors } from './interrupts/vector-access.ts';
import type { Parts } from './parts.ts';
import type { Peer } from './peers.ts';
import { checkWidth, forwardConfigRead, forwardRead, forwardWrite } from './remote/accesses.ts';
import { keepsOwnConfig, toldConfig } from './remote/own-config.ts';
import { holdBus, releaseBus, resetHardware } from './reset/hardware-reset.ts';
import { transactionsPending } from './reset/reset-steps.ts';
import type { BarReadTask, FunctionState, Origin } from './state.ts';

const BAR_ACCESS_BYTES_MAX = 8;
/** Writes that change which addresses a function answers. */
const DECODING = CONFIG_EFFECT.command | CONFIG_EFFECT.bars | CONFIG_EFFECT.barSize | CONFIG_EFFECT.power;
const WORD_BYTES = 4;
const D3_HOT = 3;
/** The Vendor ID that a root port makes of Request Retry Status (PCIe Base r6.0 §2.3.2). */
const RETRY_VENDOR = 0x0001;

export function regionRead(m: Parts, origin: Origin, fn: FunctionState, command: RegionRead): void {
  const { region, offset, bytes } = command;
  if (region === REGION.config) {
    checkConfigAccess(fn.config.bytes, offset, bytes);
    const keeper = configKeeper(m, fn);
    if (keeper === undefined) answer(m, origin, configValue(m, fn, offset, bytes), 0);
    else forwardRead(m, origin, fn, keeper, region, offset, bytes);
    return;
  }
  checkBarAccess(m, fn, region, offset, bytes);
  if (isLost(m, fn) || !decodes(fn, region)) {
    refuseAccess(m, fn, false);
    answer(m, origin, allOnes(bytes), bytes > 4 ? -1 : 0);
  } else if (fn.entries.some(holdsBackLater)) {
    const task = m.operations.start<BarReadTask>(origin, { kind: 'bar-read', fn, region, offset, bytes });
    for (const request of fn.entries) {
      if (!holdsBackLater(request)) continue;
      request.onPerformed = withWatcher(request.onPerformed, task.id);
      task.pending++;
    }
  } else {
    readBar(m, origin, fn, region, offset, bytes);
  }
}

/** As reads of 4 bytes each, one after the other. */
export function configRead(m: Parts, origin: Origin, fn: FunctionState, { offset, bytes }: ConfigRead): void {
  checkConfigAccess(fn.config.bytes, offset, WORD_BYTES);
  if (!Number.isInteger(bytes) || bytes < WORD_BYTES || bytes % WORD_BYTES !== 0) {
    throw new ModelError('EINVAL', `${bytes} bytes of configuration space; whole words of ${WORD_BYTES} are read, at least one`, 'bytes');
  }
  checkConfigAccess(fn.config.bytes, offset + bytes - WORD_BYTES, WORD_BYTES);
  const keeper = configKeeper(m, fn);
  if (keeper !== undefined) {
    forwardConfigRead(m, origin, fn, keeper, offset, bytes);
    return;
  }
  const data = new Uint8Array(bytes);
  const view = new DataView(data.buffer);
  for (let at = 0; at < bytes; at += WORD_BYTES) view.setUint32(at, configValue(m, fn, offset + at, WORD_BYTES), true);
  m.outbox.reply(origin, { kind: 'config-read', data });
}

/** Who answers configuration requests in place of the machine; undefined: the machine, for it keeps the space, or nobody is there. */
function configKeeper(m: Parts, fn: FunctionState): Peer | undefined {
  return keepsOwnConfig(fn) && !isLost(m, fn) && answersConfig(fn) ? m.peers.get(fn.claimedBy) : undefined;
}

/** What a configuration request reads; all ones from a function that does not respond. */
function configValue(m: Parts, fn: FunctionState, offset: number, bytes: number): number {
  if (isLost(m, fn) || !answersConfig(fn)) return unanswered(fn, offset, bytes);
  const value = fn.config.read(offset, bytes);
  const pending = fn.config.transactionsPendingBits(offset, bytes);
  return pending !== 0 && transactionsPending(fn) ? (value | pending) >>> 0 : value;
}

/** Earlier posted writes of the function have been performed: the completion may pass the bus now. */
export function resumeBarRead(m: Parts, task: BarReadTask): void {
  m.operations.end(task);
  const { origin, fn, region, offset, bytes } = task;
  // Meanwhile it may have been reset, or lost its Memory Space Enable.
  if (decodes(fn, region)) readBar(m, origin, fn, region, offset, bytes);
  else answer(m, origin, allOnes(bytes), bytes > 4 ? -1 : 0);
}

function readBar(m: Parts, origin: Origin, fn: FunctionState, region: number, offset: number, bytes: number): void {
  if (hasVectorsAt(fn, region, offset)) {
    answer(m, origin, readVectors(fn, region, offset, Math.min(bytes, 4)), bytes > 4 ? readVectors(fn, region, offset + 4, 4) : 0);
    return;
  }
  const peer = m.peers.get(fn.claimedBy);
  if (peer !== undefined) {
    forwardRead(m, origin, fn, peer, region, offset, bytes);
    return;
  }
  const low = fn.model.barRead(region, offset, bytes);
  const high = bytes > 4 ? fn.model.barReadHigh(region, offset) : 0;
  answer(m, origin, low, high);
}

export function regionWrite(m: Parts, origin: Origin, fn: FunctionState, command: RegionWrite): void {
  const { region, offset, bytes, valueLow, valueHigh } = command;
  checkRegionWrite(m, fn, command);
  if (region === REGION.config) {
    hostWritesConfig(m, origin, fn, command);
    return;
  }
  const peer = m.peers.get(fn.claimedBy);
  if (isLost(m, fn) || !decodes(fn, region)) {
    refuseAccess(m, fn, true);
    m.outbox.ok(origin);
  } else if (hasVectorsAt(fn, region, offset)) {
    writeVectors(fn, region, offset, Math.min(bytes, 4), valueLow);
    if (bytes > 4) writeVectors(fn, region, offset + 4, 4, valueHigh);
    interruptsChanged(m, fn);
    m.outbox.ok(origin);
  } else if (peer !== undefined) {
    forwardWrite(m, origin, fn, peer, command);
  } else {
    fn.model.barWrite(region, offset, bytes, valueLow, valueHigh);
    m.outbox.ok(origin);
  }
}

export function checkRegionWrite(m: Parts, fn: FunctionState, { region, offset, bytes }: RegionWriteItem): void {
  if (region === REGION.config) checkConfigAccess(fn.config.bytes, offset, bytes);
  else checkBarAccess(m, fn, region, offset, bytes);
}

/** Its emulator gets this write to a BAR. */
export function isForwarded(m: Parts, fn: FunctionState, { region, offset }: RegionWriteItem): boolean {
  return m.peers.get(fn.claimedBy) !== undefined && !isLost(m, fn) && decodes(fn, region) && !hasVectorsAt(fn, region, offset);
}

/** The emulator that keeps the space has the write before whatever comes of it. */
function hostWritesConfig(m: Parts, origin: Origin, fn: FunctionState, command: RegionWrite): void {
  const { offset, bytes, valueLow } = command;
  if (isLost(m, fn) || !answersConfig(fn)) {
    m.outbox.ok(origin);
    return;
  }
  const keeper = keepsOwnConfig(fn) ? m.peers.get(fn.claimedBy) : undefined;
  if (keeper !== undefined) forwardWrite(m, origin, fn, keeper, command);
  configWrite(m, fn, offset, bytes, valueLow);
  if (keeper === undefined) m.outbox.ok(origin);
  else if (fn.claim?.resets === fn.config.resets) toldConfig(fn);
}

/** A configuration write that triggers a reset with no window is allowed: that is what buggy software does. */
function configWrite(m: Parts, fn: FunctionState, offset: number, bytes: number, value: number): void {
  const { atsEnabled: atsBefore, powerState: powerBefore } = fn.config;
  const inBusReset = assertsBusReset(fn.config);
  const effects = fn.config.write(offset, bytes, value);
  m.trace.emit('config-write', fn.bdf, offset, value, bytes);
  captureBus(m, fn);
  if (effects & CONFIG_EFFECT.ats && fn.config.atsEnabled && !atsBefore) {
    fn.config.setAtsEnable(false);
    setAtsEnable(m, fn, true);
  }
  if (effects & CONFIG_EFFECT.priReset && !fn.config.priEnabled) forgetPageRequests(m, fn);
  if (effects & CONFIG_EFFECT.pri) roomChanged(m, fn);
  if (effects & DECODING) warnOfOverlaps(m, fn);
  if (effects & CONFIG_EFFECT.bridgeControl && assertsBusReset(fn.config) !== inBusReset) {
    if (inBusReset) releaseBus(m, fn);
    else holdBus(m, fn);
  }
  if (effects & CONFIG_EFFECT.sriov) followSriov(m, fn);
  if (effects & (CONFIG_EFFECT.msi | CONFIG_EFFECT.command | CONFIG_EFFECT.power)) interruptsChanged(m, fn);
  if (effects & CONFIG_EFFECT.command && fn.config.isBridge) {
    for (const below of m.functionList) if (below.path.includes(fn)) interruptsChanged(m, below);
  }
  if (fn.contained !== undefined && !isContaining(fn.config)) release(m, fn, fn.contained);
  if (effects & CONFIG_EFFECT.containment) softwareTrigger(m, fn);
  if (fn.vitalProductData !== undefined && asksForVpd(fn.config, offset, bytes)) accessVpd(fn.config, fn.vitalProductData);
  if (hasPortCauses(fn.config)) portWritten(m, fn, offset, bytes, effects);
  if (effects & CONFIG_EFFECT.flr && !fn.resetting) resetHardware(m, fn, 'flr');
  if (powerBefore === D3_HOT && fn.config.powerState === 0 && losesContextInD3(fn.config)) resetHardware(m, fn, 'pm');
}

/** A register of a port that interrupts for what they show. */
function portWritten(m: Parts, port: FunctionState, offset: number, bytes: number, effects: number): void {
  const { config } = port;
  if (effects & CONFIG_EFFECT.msi && port.spec.model === 'bridge') assignMessageNumbers(config);
  if (writesSlotControl(config, offset, bytes)) completeSlotCommand(config, (effects & CONFIG_EFFECT.interlock) !== 0);
  m.changedPorts.add(port);
}

/** Software has cleared DPC Trigger Status: the link below the port trains again. */
function release(m: Parts, port: FunctionState, below: readonly number[]): void {
  port.contained = undefined;
  linkComesUp(
    m,
    below.map((index) => functionNumbered(m, index)).filter((fn) => fn !== undefined),
  );
}

/** A function that is there and does not decode the access is its completer: Unsupported Request, of which a read's requester learns (§6.2.3.2.4.1). */
function refuseAccess(m: Parts, fn: FunctionState, writes: boolean): void {
  if (answersConfig(fn)) reportError(m, fn, 'unsupported-request', !writes);
}

/** Whether an access to this BAR reaches it. */
export function takesAccess(m: Parts, fn: FunctionState, region: number): boolean {
  return !isLost(m, fn) && decodes(fn, region);
}

function answer(m: Parts, origin: Origin, valueLow: number, valueHigh: number): void {
  m.outbox.reply(origin, { kind: 'region-read', valueLow, valueHigh });
}

/** A peer may have a region that its configuration space does not show; it counts as memory. */
function decodes(fn: FunctionState, region: number): boolean {
  if (!answersConfig(fn)) return false;
  // VF MSE of the physical function is Memory Space Enable of its virtual ones (PCIe Base r6.0 §9.3.3.3.4).
  if (fn.physical !== undefined) return fn.config.powerState === 0 && sriovOf(fn.physical.config)?.memorySpace === true;
  const bar = fn.config.bars().find((one) => one.index === region);
  return bar === undefined ? fn.config.memorySpace && fn.config.powerState === 0 : fn.config.decodes(bar);
}

/** What a read gets where nobody answers. With the whole Vendor ID in it, it shows that a function is there which cannot answer yet. */
function unanswered(fn: FunctionState, offset: number, bytes: number): number {
  if (offset !== 0 || bytes < 2 || !showsRetry(fn)) return allOnes(bytes);
  return bytes === 2 ? RETRY_VENDOR : (0xffff_0000 | RETRY_VENDOR) >>> 0;
}

function checkBarAccess(m: Parts, fn: FunctionState, region: number, offset: number, bytes: number): void {
  if (!Number.isInteger(region) || region < REGION.bar0 || region > REGION.bar5) {
    throw new ModelError('EINVAL', `${formatBdf(fn.bdf)} has no region ${region}; 0 to 5 are BARs, 7 is configuration space`, 'region');
  }
  if (![1, 2, 4, BAR_ACCESS_BYTES_MAX].includes(bytes)) {
    throw new ModelError('EINVAL', `a BAR is accessed in 1, 2, 4 or 8 bytes, not ${bytes}`, 'bytes');
  }
  const bar = fn.config.bars().find((one) => one.index === region);
  const size = bar === undefined || bar.sizeLg2 < 0 ? 0 : 2 ** bar.sizeLg2;
  if (size === 0 && m.peers.get(fn.claimedBy) === undefined) {
    throw new ModelError('EINVAL', `${formatBdf(fn.bdf)} has no BAR ${region}, or its size is not known`, 'region');
  }
  if (!Number.isInteger(offset) || offset < 0 || (size > 0 && offset + bytes > size)) {
    throw new ModelError('EINVAL', `${bytes} bytes at ${hex(offset)} are beyond the ${size} bytes of BAR ${region}`, 'offset');
  }
  // The vectors' table is the machine's, and the emulator has no say in how it is accessed.
  if (!hasVectorsAt(fn, region, offset)) checkWidth(fn, bytes);
  if (offset % bytes !== 0) {
    throw new ModelError('EINVAL', `offset ${hex(offset)} is not a multiple of the access's ${bytes} bytes`, 'offset');
  }
}
