/** Functions that can be reset in every way, and what a test of resets looks at. Offsets are restated. */
import { bdf, type Bdf, type ResetMethod } from '../../server/src/core/base/index.ts';
import type { Command, FunctionSpec, ResetSpec } from '../../server/src/core/machine/index.ts';
import { bridgeConfig, type BridgeSpec, type CapabilityChoices } from '../../server/src/core/pci/index.ts';
import { CoreMachine, MS, probe, type Options, type Pending } from './core-machine.ts';

/** A root port with bus 1 below it, and the function there. */
export const PORT = bdf(0, 0, 1, 0);
export const CHILD = bdf(0, 1, 0, 0);

export function port(at: Bdf, secondary: number, fields: Partial<BridgeSpec> = {}): FunctionSpec {
  const config = bridgeConfig({
    kind: 'root-port',
    primary: (at >>> 8) & 0xff,
    secondary,
    subordinate: fields.subordinate ?? secondary,
    ...fields,
  });
  return { bdf: at, model: 'bridge', config, label: '', latencyNs: 0 };
}

/** A function with the methods that its spec and its capabilities give it. */
export function resettable(
  at: Bdf,
  reset: ResetSpec = {},
  capabilities: CapabilityChoices = {},
  fields: { readonly multiFunction?: boolean } = {},
): FunctionSpec {
  return { ...probe(at, { integrated: at >>> 8 === 0, capabilities, ...fields }), reset };
}

/** Every method that capabilities announce; the power management of a function that forgets its context in D3hot. */
export const ANNOUNCED: CapabilityChoices = { advancedFeatures: {}, power: { noSoftReset: false } };
export const FORGETS: CapabilityChoices = { power: { noSoftReset: false } };
/** The DVSEC of a CXL port, which masks Secondary Bus Reset until software says otherwise. */
export const CXL: CapabilityChoices = { designatedVendor: [{ vendor: 0x1e98, id: 3, revision: 0, bytes: new Uint8Array(30) }] };

/** A function below a root port: `bus` is among its methods. */
export function below(
  reset: ResetSpec = {},
  capabilities: CapabilityChoices = {},
  bridge: Partial<BridgeSpec> = {},
): readonly FunctionSpec[] {
  return [port(PORT, 1, bridge), resettable(CHILD, reset, capabilities)];
}

export class ResetMachine extends CoreMachine {
  constructor(functions: readonly FunctionSpec[], options: Omit<Options, 'functions'> = {}) {
    super({ ...options, functions });
  }

  /** The whole of it; without a method the list is walked. */
  resetBy(at: Bdf, method?: ResetMethod, fields: Partial<Extract<Command, { kind: 'reset' }>> = {}): Pending {
    return this.start({ kind: 'reset', bdf: at, method, window: true, deadlineNs: 10 * MS, onDeadline: 'abort', ...fields });
  }

  methods(at: Bdf): readonly ResetMethod[] {
    return this.info(at).resetMethods;
  }

  setMethods(at: Bdf, methods: string): Pending {
    return this.start({ kind: 'reset-methods-set', bdf: at, methods });
  }

  busReset(at: Bdf, fields: Partial<Extract<Command, { kind: 'bus-reset' }>> = {}): Pending {
    return this.start({ kind: 'bus-reset', bdf: at, slot: false, tryLock: false, deadlineNs: 10 * MS, onDeadline: 'abort', ...fields });
  }

  config(at: Bdf, offset: number, bytes = 2): number {
    return this.call('region-read', { kind: 'region-read', bdf: at, region: 7, offset, bytes }).valueLow;
  }

  writeConfig(at: Bdf, offset: number, bytes: number, value: number): void {
    this.call('ok', { kind: 'region-write', bdf: at, region: 7, offset, bytes, valueLow: value, valueHigh: 0 });
  }

  /** What drivers were called for, in order. */
  callbacks(): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'driver-callback' ? [event.callback] : []));
  }

  /** Windows of the function, opened and closed in order. */
  windows(at: Bdf): readonly string[] {
    return this.events.flatMap((event) => (event.kind === 'window' && event.bdf === at ? [event.open ? 'open' : 'closed'] : []));
  }

  /** How often the hardware of a function was reset. */
  resets(at: Bdf): number {
    return this.traced('function-reset', at).length;
  }
}
