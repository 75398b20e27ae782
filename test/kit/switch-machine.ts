/** A switch with two probes below it, whose registers are in windows that are open, and a machine with it. Constants are restated here. */
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import type { EcamSpec, FunctionSpec } from '../../server/src/core/machine/index.ts';
import { PROBE_BAR_BYTES, bridgeConfig, dmaProbeConfig, type BridgeSpec, type ProbeSpec } from '../../server/src/core/pci/index.ts';

export const ROOT_PORT = bdf(0, 0, 1, 0);
export const UPSTREAM = bdf(0, 1, 0, 0);
export const LEFT_PORT = bdf(0, 2, 0, 0);
export const RIGHT_PORT = bdf(0, 2, 1, 0);
export const LEFT = bdf(0, 3, 0, 0);
export const RIGHT = bdf(0, 4, 0, 0);
/** The window of each port; BAR 0 of what is below begins with it. */
export const LEFT_BAR = 0xe000_0000;
export const RIGHT_BAR = 0xe010_0000;
const MIB = 0x10_0000;
/** `scratch` of a dma-probe keeps what is written. */
export const SCRATCH = 8;
/** BAR 2, with the MSI-X table. */
const TABLE_OFFSET = 0x8_0000;

export interface SwitchOptions {
  /** Of both downstream ports: none, or these bits of ACS Control. Default: as ports have it. */
  readonly acs?: false | number;
  readonly left?: Partial<ProbeSpec>;
  readonly right?: Partial<ProbeSpec> & { readonly model?: 'dma-probe' | 'remote' };
}

export const ECAM: readonly EcamSpec[] = [{ segment: 0, base: 0xb000_0000n, firstBus: 0, lastBus: 255 }];

export function aSwitch({ acs, left = {}, right = {} }: SwitchOptions = {}): readonly FunctionSpec[] {
  const { model = 'dma-probe', ...rest } = right;
  const whole = { base: LEFT_BAR, end: RIGHT_BAR + MIB };
  const control = acs === undefined ? {} : acs === false ? { acs } : { capabilities: { acs: { offered: 0x7f, enabled: acs } } };
  return [
    bridge(ROOT_PORT, { kind: 'root-port', primary: 0, secondary: 1, subordinate: 4, window: whole }),
    bridge(UPSTREAM, { kind: 'upstream-port', primary: 1, secondary: 2, subordinate: 4, window: whole }),
    bridge(LEFT_PORT, { kind: 'downstream-port', primary: 2, secondary: 3, subordinate: 3, window: windowAt(LEFT_BAR), ...control }),
    bridge(RIGHT_PORT, {
      kind: 'downstream-port',
      primary: 2,
      secondary: 4,
      subordinate: 4,
      portNumber: 1,
      window: windowAt(RIGHT_BAR),
      ...control,
    }),
    below(LEFT, 'dma-probe', LEFT_BAR, left),
    below(RIGHT, model, RIGHT_BAR, rest),
  ];
}

function windowAt(base: number): { readonly base: number; readonly end: number } {
  return { base, end: base + MIB };
}

export function bridge(at: Bdf, spec: BridgeSpec): FunctionSpec {
  return { bdf: at, model: 'bridge', config: bridgeConfig(spec), label: '', latencyNs: 0 };
}

/** A function whose BARs have addresses from `base` on. */
export function below(at: Bdf, model: 'dma-probe' | 'remote', base: number, spec: Partial<ProbeSpec> = {}): FunctionSpec {
  const addresses = [BigInt(base), undefined, BigInt(base + TABLE_OFFSET)];
  return {
    bdf: at,
    model,
    config: dmaProbeConfig({ integrated: false, addresses, ...spec }),
    barBytes: PROBE_BAR_BYTES,
    label: '',
    latencyNs: 0,
  };
}
