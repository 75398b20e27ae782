/** SR-IOV: virtual functions that come when VF Enable is set and go when it is cleared, by software or by a reset of their physical function. */
import { formatBdf, hexDigits, busOf, type Bdf } from '../../base/index.ts';
import { sriovOf, virtualConfig, virtualPlaces } from '../../pci/index.ts';
import { applyEffects } from '../ats/invalidation.ts';
import { cutOff } from '../errors/cut-off.ts';
import type { Parts } from '../parts.ts';
import { NOTHING_DONE, setGate, virtualToken, windowKey } from '../reset/window.ts';
import type { FunctionSpec } from '../spec.ts';
import type { FunctionState } from '../state.ts';
import { addFunctions } from './plug.ts';
import { removeAll } from './unplug.ts';

/** From VF Enable until they answer configuration requests (PCIe Base r6.0 §9.3.3.3.1). */
const READY_NS = 100_000_000;

export function virtualFunctionsOf(m: Parts, physical: FunctionState): readonly FunctionState[] {
  return m.functionList.filter((fn) => fn.physical === physical && fn.leaving === 0);
}

/** SR-IOV Control or NumVFs may have been written, or restored. */
export function followSriov(m: Parts, physical: FunctionState): void {
  const sriov = sriovOf(physical.config);
  if (sriov === undefined) return;
  const there = virtualFunctionsOf(m, physical);
  if (!sriov.enabled) {
    if (there.length > 0) destroy(m, physical, there);
  } else if (there.length === 0) {
    create(m, physical, virtualPlaces(physical.bdf, sriov), sriov.functions);
  } else {
    for (const fn of there) if (fn.suspended !== undefined) revive(m, fn, fn.suspended);
  }
}

/**
 * The physical function was reset, which clears VF Enable: they vanish. Linux sets it again when it restores the function's state, and goes on as if nothing
 * had been; so until its reset has ended (`restores`) the machine keeps what software has of them.
 */
export function sriovReset(m: Parts, physical: FunctionState, restores: boolean): void {
  const there = virtualFunctionsOf(m, physical);
  if (there.length === 0) return;
  if (!restores) {
    destroy(m, physical, there);
    return;
  }
  for (const fn of there) {
    if (fn.suspended !== undefined) continue;
    fn.suspended = fn.config.save();
    fn.interrupts.savedTable = fn.interrupts.vectors?.save();
    cutOff(m, fn);
  }
}

function create(m: Parts, physical: FunctionState, places: readonly Bdf[], wanted: number): void {
  if (wanted === 0) return;
  const refusal = misplaced(m, physical, places, wanted);
  if (refusal !== undefined) {
    m.outbox.log('warn', physical.bdf, `${formatBdf(physical.bdf)}: ${refusal}`);
    return;
  }
  const specs = places.map((bdf) => specOf(physical, bdf));
  const added = addFunctions(m, specs, { reason: 'vf-enabled', readyNs: READY_NS, physical });
  if (m.strict) joinWindows(m, physical, added);
  m.outbox.log('info', physical.bdf, `${formatBdf(physical.bdf)} has ${added.length} virtual functions`);
}

/**
 * In Linux nothing knows of a window of the physical function's. `strict` has them in each that is open, is being opened or has not quite closed, and that
 * ends with it (`virtual-windows.ts`).
 */
function joinWindows(m: Parts, physical: FunctionState, added: readonly FunctionState[]): void {
  const tokens = new Set(physical.device?.windows);
  for (const operation of m.operations.values()) {
    if (operation.kind === 'prepare' && operation.fn === physical) tokens.add(operation.token);
    if (operation.kind === 'done' && operation.fn === physical) for (const token of operation.closing) tokens.add(token);
  }
  if (tokens.size === 0) return;
  const windows = [...tokens].map((token) => virtualToken(physical, token));
  for (const fn of added) {
    if (m.iommu === undefined || fn.device === undefined) continue;
    applyEffects(m, undefined, m.iommu.joinWindows(fn.device, windows));
    setGate(m, fn, false);
    for (const [i, token] of windows.entries())
      m.windowReports.set(windowKey(fn, token), { ...NOTHING_DONE, skipped: false, depth: i + 1 });
    m.outbox.event({ kind: 'window', bdf: fn.bdf, open: true, depth: windows.length, timeNs: m.clock.nowNs });
  }
}

/** sriov_enable(): why they cannot all be there. */
function misplaced(m: Parts, physical: FunctionState, places: readonly Bdf[], wanted: number): string | undefined {
  const what = `its ${wanted} virtual functions cannot be enabled`;
  if (places.length < wanted) return `${what}: it has fewer, or they would be beyond bus ff`;
  const taken = places.find((bdf) => m.functions.has(bdf));
  if (taken !== undefined) return `${what}: there is a function at ${formatBdf(taken)}`;
  const [port] = physical.path;
  const buses = port === undefined ? undefined : m.topology.busesAt(port.bdf);
  const last = buses?.subordinate ?? busOf(physical.bdf);
  const beyond = places.find((bdf) => busOf(bdf) > last);
  if (beyond === undefined) return undefined;
  const range = buses === undefined ? `root bus ${hexDigits(last, 2)}` : `buses ${hexDigits(buses.secondary, 2)} to ${hexDigits(last, 2)}`;
  return `${what}: ${formatBdf(beyond)} is beyond ${range}${port === undefined ? '' : ` below ${formatBdf(port.bdf)}`}`;
}

function specOf({ spec, config }: FunctionState, bdf: Bdf): FunctionSpec {
  const { model, latencyNs, untrusted } = spec;
  return {
    bdf,
    model,
    config: virtualConfig(config, spec.virtualMsix),
    label: spec.label === '' ? '' : `${spec.label}, virtual`,
    latencyNs,
    ...(untrusted === undefined ? {} : { untrusted }),
  };
}

/** They are gone at once; what software has of them follows as it does for any function that was pulled out. */
function destroy(m: Parts, physical: FunctionState, there: readonly FunctionState[]): void {
  const aborted = new Map(there.map((fn) => [fn, fn.suspended !== undefined ? 0 : cutOff(m, fn)]));
  const origin = { peer: 0, token: 0, sinceNs: m.clock.nowNs };
  removeAll(m, origin, physical.bdf, there, { surprise: true, deadlineNs: 0, reason: 'vf-disabled' }, aborted);
}

/** VF Enable is set again: hardware as at power-up, behind software that in Linux does not know; `strict` restores what it had. */
function revive(m: Parts, fn: FunctionState, saved: Uint8Array): void {
  fn.suspended = undefined;
  fn.linkDown--;
  m.trace.emit('link', fn.bdf, 1);
  fn.config.reset('conventional');
  if (m.strict) {
    fn.config.restore(saved);
    fn.interrupts.vectors?.restore(fn.interrupts.savedTable);
    if (fn.device !== undefined && fn.config.atsSupported) fn.config.setAtsEnable(fn.device.atsEnabled);
  }
  fn.resetting = true;
  fn.readyAtNs = m.clock.nowNs + READY_NS;
  m.clock.set(READY_NS, 'function', fn.index);
}
