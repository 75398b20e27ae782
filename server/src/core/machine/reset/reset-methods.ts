/**
 * The ways to reset one function, in Linux's order (pci_reset_fn_methods, `drivers/pci/pci.c`): when each is supported, the steps that it takes, and
 * where among them the reset window is. `reset-steps.ts` says what a step does.
 */
import { RESET_METHODS, type ResetMethod } from '../../base/index.ts';
import { PORT_TYPE, isCxlPort, isImmediatelyReady, linkBelow } from '../../pci/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, ResetStep } from '../state.ts';

export interface MethodRow {
  /** What its probe finds. */
  readonly supported: (m: Parts, fn: FunctionState) => boolean;
  readonly steps: (m: Parts, fn: FunctionState) => readonly ResetStep[];
  /** Linux 7.0 and 7.1 open and close a window also where they only probe (invariant 41). */
  readonly probePrepares: (fn: FunctionState) => boolean;
}

const never = (): boolean => false;

/** What is still pending is awaited first, because a window would drop it: prepare comes right before the trigger. */
const flr = (_m: Parts, fn: FunctionState): readonly ResetStep[] => [
  'wait-pending',
  'prepare',
  'initiate-flr',
  ...(isImmediatelyReady(fn.config) ? [] : (['flr-time', 'ready'] as const)),
  'done',
];

export const METHODS: Readonly<Record<ResetMethod, MethodRow>> = {
  // The window is round the whole quirk, and one that begins with an FLR has that one's window inside.
  device_specific: {
    supported: (_m, { spec }) => spec.reset?.deviceSpecific !== undefined && spec.reset.deviceSpecific !== 'refuses',
    steps: quirkSteps,
    probePrepares: ({ spec }) => spec.reset?.deviceSpecific !== undefined,
  },
  acpi: {
    supported: (_m, { spec }) => spec.reset?.acpi !== undefined,
    steps: () => ['prepare', 'evaluate-rst', 'flr-time', 'ready', 'done'],
    probePrepares: never,
  },
  flr: {
    supported: (_m, fn) => announces(fn, 'flr') && fn.spec.reset?.noFlr !== true,
    steps: flr,
    probePrepares: never,
  },
  af_flr: {
    supported: (_m, fn) => announces(fn, 'af_flr') && fn.spec.reset?.noFlr !== true,
    steps: flr,
    probePrepares: never,
  },
  pm: {
    supported: (_m, fn) => announces(fn, 'pm') && fn.spec.reset?.noPm !== true,
    steps: () => ['check-d0', 'prepare', 'd3hot', 'd3-delay', 'd0', 'd3-delay', 'ready', 'done'],
    probePrepares: never,
  },
  bus: {
    supported: isAloneOnItsBus,
    steps: busSteps,
    probePrepares: () => true,
  },
  // The window of the bus method is inside its own.
  cxl_bus: {
    supported: (_m, fn) => fn.path[0] !== undefined && isCxlPort(fn.path[0].config),
    steps: (m, fn) => ['prepare', 'unmask-bus-reset', ...busSteps(m, fn), 'mask-bus-reset', 'done'],
    probePrepares: never,
  },
};

/** The methods that a probe of the function finds, in order. */
export function supportedMethods(m: Parts, fn: FunctionState): readonly ResetMethod[] {
  return RESET_METHODS.filter((method) => METHODS[method].supported(m, fn));
}

/** What a reset tries: the `reset_method` attribute. */
export function enabledMethods(m: Parts, fn: FunctionState): readonly ResetMethod[] {
  return fn.resetMethods ?? supportedMethods(m, fn);
}

/** What of resets can be said by configuration space alone. */
function announces(fn: FunctionState, method: ResetMethod): boolean {
  return fn.config.resetMethods().includes(method);
}

function quirkSteps(m: Parts, fn: FunctionState): readonly ResetStep[] {
  switch (fn.spec.reset?.deviceSpecific) {
    case 'flr-then-firmware':
      return ['prepare', ...flr(m, fn), 'firmware', 'done'];
    case 'refuses':
      return ['prepare', 'quirk-refuses', 'done'];
    default:
      return ['prepare', 'quirk', 'flr-time', 'ready', 'firmware', 'done'];
  }
}

/** pci_parent_bus_reset(): nobody else would be reset with it. */
export function isAloneOnItsBus(m: Parts, fn: FunctionState): boolean {
  const [bridge] = fn.path;
  if (bridge === undefined || fn.config.isBridge || fn.spec.reset?.noBus === true) return false;
  return m.topology.children(bridge.bdf).length === 1;
}

/** `strict` looks whether it can be done before it opens a window; Linux looks in it. */
function busSteps(m: Parts, fn: FunctionState): readonly ResetStep[] {
  const before: readonly ResetStep[] = m.strict ? ['check-sole', 'prepare'] : ['prepare', 'check-sole'];
  return ['check-unmasked', ...before, ...secondaryBusSteps(m, fn.path[0]), 'done'];
}

/** Everything below a bridge at once. Linux has no window here; `strict` has one on every function. */
export function wholeBusSteps(m: Parts, bridge: FunctionState, window: boolean): readonly ResetStep[] {
  const reset = secondaryBusSteps(m, bridge);
  return m.strict && window ? ['prepare', ...reset, 'done'] : reset;
}

/** pci_bridge_secondary_bus_reset(), and pci_bridge_wait_for_secondary_bus() by what is between the bridge and the functions. */
function secondaryBusSteps(m: Parts, bridge: FunctionState | undefined): readonly ResetStep[] {
  return ['hold-bus', 'hold-time', 'release-bus', ...(bridge === undefined ? [] : settlingSteps(m, bridge))];
}

/** 5 GT/s in Max Link Speed. */
const SPEED_5GT = 2;

function settlingSteps(m: Parts, { config }: FunctionState): readonly ResetStep[] {
  // Linux awaits nothing behind a bridge from PCI Express to PCI, which is neither a downstream port nor without a PCI Express capability.
  if (config.portType === PORT_TYPE.none) return ['conventional-time'];
  if (config.portType === PORT_TYPE.expressToPci) return m.strict ? ['conventional-time'] : [];
  const link = linkBelow(config);
  if (link === undefined) return [];
  return link.speedMax <= SPEED_5GT ? ['flr-time', 'ready-early', 'ready-late'] : ['link-active', 'link-time', 'ready-late'];
}
