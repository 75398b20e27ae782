/**
 * What a function does when it is reset, whoever set it off: a reset of a host, a configuration write with no window round it, the loss of power. No
 * window, no wait: those are the host's ({@link ./reset-steps.ts}).
 */
import type { ResetMethod } from '../../base/index.ts';
import { PORT_TYPE, isImmediatelyReady, masksBusReset, setBusReset } from '../../pci/index.ts';
import { forgetGathered } from '../ats/gathered.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import { discardCompletions } from '../dma/dma-drain.ts';
import { faultActs } from '../dma/gate.ts';
import { isLost, showLinks } from '../errors/link.ts';
import { functionsBelow } from '../hierarchy/routing.ts';
import { sriovReset } from '../hierarchy/virtual-functions.ts';
import { resetInterrupts } from '../interrupts/intx.ts';
import type { Parts } from '../parts.ts';
import { tellReset } from '../remote/told-resets.ts';
import type { FunctionState } from '../state.ts';
import { resetModel } from './model-life.ts';

const MS = 1_000_000;

interface Kind {
  /** How far it reaches into the registers. */
  readonly registers: 'flr' | 'd3hot' | 'conventional';
  /** Until the function may answer. */
  readonly busyMs: number;
}

const FLR: Kind = { registers: 'flr', busyMs: 100 };
/** Of a link that was reset (PCIe Base r6.0 §6.6.1); and of firmware, which does the same by its own means. */
const HOT: Kind = { registers: 'conventional', busyMs: 100 };
/** D3hot to D0 without No_Soft_Reset: D0uninitialized (§5.3.1.4), in the 10 ms that software gives it. */
const POWER: Kind = { registers: 'd3hot', busyMs: 10 };

const KINDS: Readonly<Record<ResetMethod, Kind>> = {
  device_specific: FLR,
  acpi: HOT,
  flr: FLR,
  af_flr: FLR,
  pm: POWER,
  bus: HOT,
  cxl_bus: HOT,
};

/**
 * No new requests; posted writes land; completions are discarded; its ATC is empty; registers as after such a reset; until it is ready it answers
 * nothing. `held`: it stays in reset until {@link letGo}.
 */
export function resetHardware(m: Parts, fn: FunctionState, method: ResetMethod, how: { held?: boolean; cold?: boolean } = {}): void {
  const { held = false, cold = false } = how;
  const kind = KINDS[method];
  // What is asked of it over a link that is down never reaches it.
  if (!held && !cold && isLost(m, fn)) return;
  fn.resetting = true;
  fn.heldInReset = held;
  fn.needsReset = false;
  fn.neverReady = faultActs(fn, 'never-ready') !== undefined;
  fn.atcKept = faultActs(fn, 'atc-survives-reset') !== undefined;
  discardCompletions(m, fn, method);
  forgetGathered(m, fn);
  if (!fn.atcKept) fn.model.atc?.clear();
  resetModel(m, fn);
  const below = fn.holdsInReset;
  fn.config.reset(cold ? 'cold' : kind.registers);
  resetInterrupts(m, fn);
  forgetPageRequests(m, fn);
  sriovReset(m, fn, fn.resetHolder !== 0);
  fn.readyAtNs = Infinity;
  tellReset(m, fn, method, cold);
  if (!held) getReady(m, fn, kind.busyMs);
  if (!fn.config.isBridge) return;
  m.changedPorts.add(fn);
  // Its bus numbers are gone, and so is its Secondary Bus Reset.
  for (const one of below) letGo(m, one);
  fn.holdsInReset = [];
  showLinks(m, below);
}

function getReady(m: Parts, fn: FunctionState, busyMs: number): void {
  const ns = isImmediatelyReady(fn.config) ? 0 : busyMs * MS;
  fn.readyAtNs = m.clock.nowNs + ns;
  if (ns === 0) functionMayBeReady(m, fn);
  else m.clock.set(ns, 'function', fn.index);
}

/** The time that its reset takes is over, or the peer has answered it. */
export function functionMayBeReady(m: Parts, fn: FunctionState): void {
  if (!fn.resetting || fn.peerResets > 0 || fn.neverReady || m.clock.nowNs < fn.readyAtNs) return;
  fn.resetting = false;
  // A completion that was sent before the reset may still come, and must find the debt that it pays.
  const answering = fn.entries.some((request) => request.kind === 'invalidation-completion');
  if (!answering) m.invalidations.functionReset(fn.bdf);
  m.trace.emit('function-ready', fn.bdf);
}

/**
 * Secondary Bus Reset was set in the bridge's control: everything below goes into reset, bridges too, and stays there. Where a CXL port masks it nothing
 * happens.
 */
export function holdBus(m: Parts, bridge: FunctionState): void {
  if (masksBusReset(bridge.config)) return;
  const below = functionsBelow(m, bridge);
  bridge.holdsInReset = below;
  for (const fn of below) resetHardware(m, fn, 'bus', { held: true });
  showLinks(m, below);
}

/** It was cleared: the functions get ready. */
export function releaseBus(m: Parts, bridge: FunctionState): void {
  const held = bridge.holdsInReset;
  bridge.holdsInReset = [];
  for (const fn of held) letGo(m, fn);
  showLinks(m, held);
}

/** On a conventional bus a function answers as soon as RST# is released; over a link it takes its time. */
function letGo(m: Parts, fn: FunctionState): void {
  if (!fn.heldInReset) return;
  fn.heldInReset = false;
  getReady(m, fn, fn.config.portType === PORT_TYPE.none ? 0 : HOT.busyMs);
}

/** As a write of Bridge Control by a host. */
export function writeBusReset(m: Parts, bridge: FunctionState, on: boolean): void {
  setBusReset(bridge.config, on);
  m.trace.emit('bus-reset', bridge.bdf, on ? 1 : 0);
  if (on) holdBus(m, bridge);
  else releaseBus(m, bridge);
}

/** Power was off: of these functions nothing is left, sticky bits neither, until somebody sets them up again. */
export function losePower(m: Parts, functions: readonly FunctionState[]): void {
  for (const fn of functions) resetHardware(m, fn, 'bus', { cold: true });
}
