/** What hosts ask of resets, made into requests ({@link ./reset.ts}); and what is refused before anything has changed. */
import { ModelError, RESET_METHODS, formatBdf, type ResetMethod } from '../../base/index.ts';
import { hasHotPlugSlot } from '../../pci/index.ts';
import type { BusReset, ColdReset, ResetFunction, ResetMethodsSet, ResetProbe, ResetTrigger } from '../command.ts';
import { functionsBelow } from '../hierarchy/routing.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Origin } from '../state.ts';
import { losePower } from './hardware-reset.ts';
import { METHODS, enabledMethods, supportedMethods } from './reset-methods.ts';
import { startReset } from './reset.ts';

/** No window: the fields that say how one is opened mean nothing. */
const NO_WINDOW = { window: false, tryLock: false, deadlineNs: 0, onDeadline: 'abort' } as const;

export function resetFunction(m: Parts, origin: Origin, fn: FunctionState, command: ResetFunction): void {
  const methods = methodsFor(m, origin, fn, command.method);
  if (methods === undefined) return;
  const { bdf, window, tryLock = false, deadlineNs, onDeadline } = command;
  startReset(m, origin, { goal: 'function', bdf, methods, whole: true, window, tryLock, deadlineNs, onDeadline });
}

/** The methods alone, with no window of their own. */
export function resetTrigger(m: Parts, origin: Origin, fn: FunctionState, { bdf, method }: ResetTrigger): void {
  const methods = methodsFor(m, origin, fn, method);
  if (methods !== undefined) startReset(m, origin, { goal: 'trigger', bdf, methods, whole: false, ...NO_WINDOW });
}

/** Those of the attribute; or the one that was named, which need not be in it, as a driver may call pcie_flr() of itself. */
function methodsFor(m: Parts, origin: Origin, fn: FunctionState, named: ResetMethod | undefined): readonly ResetMethod[] | undefined {
  if (named !== undefined && !RESET_METHODS.includes(named))
    throw new ModelError('EINVAL', `unknown reset method "${String(named)}"`, 'method');
  const methods = named === undefined ? enabledMethods(m, fn) : [named];
  if (named === undefined ? methods.length > 0 : METHODS[named].supported(m, fn)) return methods;
  const supported = supportedMethods(m, fn);
  const has = supported.length === 0 ? 'none' : supported.join(', ');
  const what = named === undefined ? 'has no reset method that is enabled' : `cannot be reset by ${named}`;
  m.outbox.refuse(origin, 'ENOTTY', `${formatBdf(fn.bdf)} ${what}; it supports ${has}`, 'method');
  return undefined;
}

/** Which methods there are. In `linux-7.1` looking has side effects (invariant 41). */
export function resetProbe(m: Parts, origin: Origin, _fn: FunctionState, { bdf }: ResetProbe): void {
  startReset(m, origin, { goal: 'probe', methods: RESET_METHODS, bdf, ...LOOK });
}

/** The window that a probe of Linux opens is given no time. */
const LOOK = { ...NO_WINDOW, whole: false, window: true } as const;

/** reset_method_store() (`drivers/pci/pci-sysfs.c`): names separated by spaces, `default`, or nothing. */
export function resetMethodsSet(m: Parts, origin: Origin, fn: FunctionState, { bdf, methods: text }: ResetMethodsSet): void {
  if (text.trim() === 'default') {
    startReset(m, origin, { goal: 'reprobe', methods: RESET_METHODS, bdf, ...LOOK });
    return;
  }
  const names = text.split(/\s+/).filter((name) => name !== '');
  const methods: ResetMethod[] = [];
  for (const name of names) {
    const method = RESET_METHODS.find((one) => one === name);
    if (method === undefined) throw new ModelError('EINVAL', `"${name}" is none of ${RESET_METHODS.join(', ')}, default`, 'methods');
    if (!METHODS[method].supported(m, fn)) {
      const supported = supportedMethods(m, fn);
      m.outbox.refuse(origin, 'EINVAL', `${formatBdf(bdf)} supports ${supported.join(', ') || 'no method'}, and not ${method}`, 'methods');
      return;
    }
    methods.push(method);
  }
  startReset(m, origin, { goal: 'set-methods', methods, bdf, ...LOOK });
}

/** pci_reset_bus(), or with `slot` the reset of a hot-plug slot: everything below the bridge. */
export function busReset(m: Parts, origin: Origin, bridge: FunctionState, command: BusReset): void {
  const { bdf, slot, tryLock, deadlineNs, onDeadline } = command;
  const refusal = busRefusal(m, bridge, slot);
  if (refusal !== undefined) {
    m.outbox.refuse(origin, 'ENOTTY', refusal, 'function');
    return;
  }
  const goal = slot ? 'slot' : 'bus';
  startReset(m, origin, { goal, bdf, methods: ['bus'], whole: true, window: true, tryLock, deadlineNs, onDeadline });
}

/** pci_bus_resettable() and pci_slot_resettable(); undefined: it can be reset. */
function busRefusal(m: Parts, bridge: FunctionState, slot: boolean): string | undefined {
  const name = formatBdf(bridge.bdf);
  if (!bridge.config.isBridge) return `${name} is no bridge: nothing is below it`;
  if (slot && !hasHotPlugSlot(bridge.config)) return `${name} has no hot-plug slot`;
  const below = functionsBelow(m, bridge);
  if (below.length === 0) return `there is nothing below ${name}`;
  const barred = [bridge, ...below].find((fn) => fn.spec.reset?.noBus === true);
  return barred === undefined ? undefined : `${formatBdf(barred.bdf)} does not stand a bus reset`;
}

/** Power off and on: of everything, or of what is below a port. */
export function coldReset(m: Parts, origin: Origin, { bdf }: ColdReset): void {
  const bridge = bdf === undefined ? undefined : m.functions.get(bdf);
  if (bdf !== undefined && bridge === undefined) throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)}`, 'function');
  if (bridge !== undefined && !bridge.config.isBridge) {
    throw new ModelError('EINVAL', `${formatBdf(bridge.bdf)} is no bridge; name the port whose slot loses its power`, 'function');
  }
  if (bridge === undefined) m.configAddress = 0;
  losePower(m, bridge === undefined ? m.functionList : functionsBelow(m, bridge));
  m.outbox.ok(origin);
}
