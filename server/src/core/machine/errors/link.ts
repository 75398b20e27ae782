/**
 * A link that goes down without a word (DL_Down, PCIe Base r6.0 §2.9.1): what is sent over it vanishes, and the functions below are reset when it happens,
 * as by a hot reset (§6.6.1).
 */
import { formatBdf } from '../../base/index.ts';
import { PORT_TYPE, setLinkActive } from '../../pci/index.ts';
import { STATUS } from '../../translation/index.ts';
import { forgetGathered } from '../ats/gathered.ts';
import { forgetPageRequests } from '../ats/page-requester.ts';
import { advance, end } from '../dma/dma-ledger.ts';
import { faultActs } from '../dma/gate.ts';
import { functionNumbered } from '../function-state.ts';
import { routePaths } from '../hierarchy/routing.ts';
import { resetInterrupts } from '../interrupts/intx.ts';
import type { Parts } from '../parts.ts';
import { tellReset } from '../remote/told-resets.ts';
import { resetModel } from '../reset/model-life.ts';
import type { ArmedFault, FunctionState } from '../state.ts';

/** Functions of one device share its link: bus and device number of a packed place. */
const FUNCTION_BITS = 3;

/** Of a root port or a switch's downstream port the link is the one below it, of whatever else the one above it. */
export function hasLinkBelow({ config }: FunctionState): boolean {
  return config.portType === PORT_TYPE.rootPort || config.portType === PORT_TYPE.downstreamPort;
}

/**
 * Everything whose way to the root is over the link of this function: what is below a port; itself, its device's other functions, virtual ones too, and
 * what is below those.
 */
export function behindLinkOf(m: Parts, fn: FunctionState): readonly FunctionState[] {
  if (hasLinkBelow(fn)) return m.functionList.filter((other) => other.path.includes(fn));
  const device = (fn.physical ?? fn).bdf >> FUNCTION_BITS;
  const own = m.functionList.filter((other) => (other.physical ?? other).bdf >> FUNCTION_BITS === device);
  return m.functionList.filter((other) => own.includes(other) || other.path.some((bridge) => own.includes(bridge)));
}

/** Takes the functions away. Counted: each call needs its {@link linkComesUp}. */
export function linkGoesDown(m: Parts, functions: readonly FunctionState[]): void {
  for (const fn of functions) {
    if (fn.linkDown++ > 0) continue;
    m.trace.emit('link', fn.bdf, 0);
    m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: its link is down`);
    if (fn.physical !== undefined && functions.includes(fn.physical)) suspend(fn);
    vanish(m, fn);
  }
  routePaths(m.functions, m.topology);
  showLinks(m, functions);
}

/** What ports show of the links that these functions are behind: one is active when anything below it answers on it. */
export function showLinks(m: Parts, functions: Iterable<FunctionState>): void {
  const ports = new Set<FunctionState>();
  for (const { path } of functions) if (path[0] !== undefined && hasLinkBelow(path[0])) ports.add(path[0]);
  for (const port of ports) {
    const active = m.functionList.some((fn) => fn.path[0] === port && fn.linkDown === 0 && !fn.heldInReset && fn.physical === undefined);
    if (setLinkActive(port.config, active)) m.changedPorts.add(port);
  }
}

/** VF Enable is lost with its physical function's registers: it is not there until software has set that again, as after a reset. */
function suspend(fn: FunctionState): void {
  if (fn.suspended !== undefined) return;
  fn.suspended = fn.config.save();
  fn.interrupts.savedTable = fn.interrupts.vectors?.save();
  fn.linkDown++;
}

export function linkComesUp(m: Parts, functions: readonly FunctionState[]): void {
  for (const fn of functions) {
    if (fn.linkDown === 0 || --fn.linkDown > 0) continue;
    // It has forgotten what it was asked before.
    m.invalidations.functionReset(fn.bdf);
    m.trace.emit('link', fn.bdf, 1);
  }
  showLinks(m, functions);
}

/** What its driver restores after a reset. One that nobody has programmed since it was last reset has nothing that would be wanted back. */
export function keepConfig(fn: FunctionState): void {
  if (fn.savedConfig === undefined || fn.config.busMaster || fn.config.memorySpace) fn.savedConfig = fn.config.save();
}

/** Posted requests that are past the link land; nothing else does, and no completion finds the function. */
function vanish(m: Parts, fn: FunctionState): void {
  fn.entries = fn.entries.filter((request) => {
    if (request.posted && request.point !== 'issued') return true;
    m.trace.emit('dma-aborted', fn.bdf, request.id);
    request.dead = true;
    m.pageRequests.inLedger.delete(request.id);
    end(m, request, STATUS.aborted);
    return false;
  });
  forgetGathered(m, fn);
  fn.model.atc?.clear();
  resetModel(m, fn);
  keepConfig(fn);
  fn.config.reset('conventional');
  resetInterrupts(m, fn);
  forgetPageRequests(m, fn);
  tellReset(m, fn, 'bus', false);
  advance(m, fn);
}

/** Whether what is sent to or by the function now is lost on its link; counts it for a fault that is armed there. */
export function isLost(m: Parts, fn: FunctionState): boolean {
  const fault = fn.armed.size === 0 || hasLinkBelow(fn) ? undefined : faultActs(fn, 'surprise-down');
  if (fault === undefined) return fn.linkDown !== 0;
  if (fault.victims === undefined) dropOff(m, fn, fault);
  if (fault.count <= 0) comeBack(m, fault);
  return true;
}

/** The fault takes the link down. */
export function dropOff(m: Parts, fn: FunctionState, fault: ArmedFault): void {
  const victims = behindLinkOf(m, fn);
  fault.victims = victims.map(({ index }) => index);
  const port = hasLinkBelow(fn) ? fn : fn.path[0];
  if (port !== undefined && hasLinkBelow(port)) m.errors.push({ kind: 'surprise-down', fn: port });
  linkGoesDown(m, victims);
}

/** The fault is over: its link trains again. */
export function comeBack(m: Parts, fault: ArmedFault): void {
  const { victims = [] } = fault;
  fault.victims = undefined;
  linkComesUp(
    m,
    victims.map((index) => functionNumbered(m, index)).filter((fn) => fn !== undefined),
  );
}
