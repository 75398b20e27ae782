/** Images of `dma-probe` and `remote`: one structure under two device IDs. */
import { ModelError } from '../base/index.ts';
import { VF_BAR_INDEX } from './bars.ts';
import { endpointConfig, type BarSpec } from './build-config.ts';
import { PORT_TYPE } from './capability-body.ts';
import { IMMEDIATE_READINESS, chosen, type CapabilityChoices } from './capability-choices.ts';
import type { CapabilitySet } from './capability-spec.ts';
import { CLASS, DEFAULT_ACS, DEVICE, VENDOR_UNREGISTERED } from './function-ids.ts';
import { COMMAND, HEADER } from './header.ts';

export interface ProbeSpec {
  /** On a root bus: a root complex integrated endpoint, which has no link. */
  readonly integrated: boolean;
  readonly multiFunction?: boolean;
  /** Has ACS with its isolating services enabled, which matters in a multifunction device only. */
  readonly acs?: boolean;
  /** Default true. */
  readonly ats?: boolean;
  /** As in {@link EndpointSpec}. */
  readonly interruptPin?: number;
  /** By index as in {@link probeResources}; absent: 0. */
  readonly addresses?: readonly (bigint | undefined)[];
  readonly capabilities?: CapabilityChoices;
}

/** Address space that a function decodes. */
export interface Resource {
  /** As Linux numbers them: 0 to 5 a BAR, 6 the ROM, 7 to 12 a VF BAR. */
  readonly index: number;
  /** Size of the BAR, a power of two; of one function where there are several. */
  readonly bytes: bigint;
  /** How many of that size follow each other: TotalVFs for a VF BAR, else 1. */
  readonly count: number;
}

/** The BAR that `resizableBar` adds: 64 bits wide, prefetchable. */
export const RESIZABLE_BAR_INDEX = 4;
const REGISTERS_BYTES = 0x1000n;
const INTERRUPTS_BYTES = 0x10000n;

const INTERRUPT_BAR = 2;
const PROBE_BARS = [
  { index: 0, bytes: REGISTERS_BYTES, kind: 'memory32' },
  { index: INTERRUPT_BAR, bytes: INTERRUPTS_BYTES, kind: 'memory32' },
] as const;

/** BAR sizes of {@link dmaProbeConfig} and {@link remoteConfig} without further capabilities, by index. */
export const PROBE_BAR_BYTES: readonly bigint[] = [REGISTERS_BYTES, 0n, INTERRUPTS_BYTES];

/** What a function with these capabilities decodes, the first one that wants an address first. */
export function probeResources(choices: CapabilityChoices = {}): readonly Resource[] {
  const resources: Resource[] =
    choices.bars === undefined
      ? [
          { index: 2, bytes: INTERRUPTS_BYTES, count: 1 },
          { index: 0, bytes: REGISTERS_BYTES, count: 1 },
        ]
      : choices.bars
          .filter(({ kind }) => kind !== 'io')
          .map(({ index, bytes }) => ({ index, bytes, count: 1 }))
          .toSorted((a, b) => (a.bytes < b.bytes ? 1 : -1));
  if (choices.resizableBar) {
    for (const { index, sizeLg2 } of choices.resizableBar.bars) resources.push({ index, bytes: 1n << BigInt(sizeLg2), count: 1 });
  }
  if (choices.sriov) {
    for (const { index, bytes } of choices.sriov.bars) {
      resources.push({ index: VF_BAR_INDEX + index, bytes, count: choices.sriov.functions });
    }
  }
  return resources;
}

/** Sizes by index, as a ConfigSpace takes them. */
export function probeBarBytes(choices: CapabilityChoices = {}): readonly bigint[] {
  const resources = [...probeResources(choices), ...(choices.bars ?? []).filter(({ kind }) => kind === 'io')];
  if (choices.bars === undefined && resources.length === PROBE_BAR_BYTES.filter((bytes) => bytes > 0n).length) return PROBE_BAR_BYTES;
  const sizes: bigint[] = Array.from({ length: Math.max(-1, ...resources.map(({ index }) => index)) + 1 }, () => 0n);
  for (const { index, bytes } of resources) sizes[index] = bytes;
  return sizes;
}

/**
 * `dma-probe`: FLR, MPS 256 and MRRS 512 in force, PM, MSI-X with 32 vectors in BAR 2, AER, ATS with a queue of 32, PRI, PASID of 20 bits.
 * Memory decoding and bus mastering are on; ATS is off until an IOMMU driver attaches the function. `capabilities` says what is otherwise.
 */
export function dmaProbeConfig(spec: ProbeSpec): Uint8Array {
  return probeConfig(spec, DEVICE.probe);
}

/** `remote`: the same structures as `dma-probe`, under a device ID of its own. */
export function remoteConfig(spec: ProbeSpec): Uint8Array {
  return probeConfig(spec, DEVICE.remote);
}

function probeConfig(spec: ProbeSpec, device: number): Uint8Array {
  const choices = spec.capabilities ?? {};
  const address = (index: number): bigint => spec.addresses?.[index] ?? 0n;
  const bars: BarSpec[] = (choices.bars ?? PROBE_BARS).map((bar) => ({
    ...bar,
    ...(bar.kind === 'io' ? {} : { address: address(bar.index) }),
  }));
  if (choices.resizableBar) {
    for (const { index, sizeLg2 } of choices.resizableBar.bars) {
      bars.push({ index, bytes: 1n << BigInt(sizeLg2), kind: 'memory64', prefetchable: true, address: address(index) });
    }
  }
  const capabilities = probeCapabilities(spec, choices, address);
  refuseTwice(capabilities, bars);
  const { subsystem, identity } = choices;
  const hasIo = bars.some(({ kind }) => kind === 'io');
  const image = endpointConfig({
    vendor: identity?.vendor ?? VENDOR_UNREGISTERED,
    device: identity?.device ?? device,
    revision: identity?.revision ?? 1,
    classCode: identity?.classCode ?? CLASS.otherDevice,
    subsystem: subsystem ? subsystem : { vendor: identity?.vendor ?? VENDOR_UNREGISTERED, device: identity?.device ?? device },
    command: COMMAND.memory | COMMAND.busMaster | (hasIo ? COMMAND.io : 0),
    multiFunction: spec.multiFunction ?? false,
    ...(spec.interruptPin === undefined ? {} : { interruptPin: spec.interruptPin }),
    bars,
    capabilities,
  });
  if (choices.immediateReadiness === true) image[HEADER.status]! |= IMMEDIATE_READINESS;
  return image;
}

function probeCapabilities(spec: ProbeSpec, choices: CapabilityChoices, address: (index: number) => bigint): CapabilitySet {
  const conventional = choices.express === false;
  const { ltr, sriov } = choices;
  const defaults: CapabilitySet = {
    power: { noSoftReset: true, ...(choices.immediateReadiness === true ? { immediateReadiness: true } : {}) },
    ...(hasInterruptBar(choices) ? { msix: { vectors: 32, bar: 2, tableOffset: 0, pendingOffset: 0x8000 } } : {}),
    ...(conventional ? {} : expressDefaults(spec, choices.flr ?? true, ltr !== undefined && ltr !== false)),
  };
  const placed: CapabilityChoices = sriov
    ? {
        ...choices,
        sriov: { ...sriov, bars: sriov.bars.map((bar) => Object.assign({}, bar, { address: address(VF_BAR_INDEX + bar.index) })) },
      }
    : choices;
  // The subsystem of a type 0 header is in the header; the capability is for bridges.
  return chosen(defaults, { ...placed, subsystem: false });
}

function hasInterruptBar({ bars }: CapabilityChoices): boolean {
  const bar = bars?.find(({ index }) => index === INTERRUPT_BAR);
  return bars === undefined || (bar !== undefined && bar.kind !== 'io' && bar.bytes >= INTERRUPTS_BYTES);
}

function expressDefaults(spec: ProbeSpec, flr: boolean, ltr: boolean): CapabilitySet {
  return {
    express: {
      portType: spec.integrated ? PORT_TYPE.integratedEndpoint : PORT_TYPE.endpoint,
      flr,
      maxPayloadBytes: 256,
      maxReadRequestBytes: 512,
      ...(ltr ? { ltr } : {}),
    },
    aer: {},
    ...(spec.acs === true ? { acs: DEFAULT_ACS } : {}),
    ...((spec.ats ?? true) ? { ats: { queueDepth: 32 }, pri: { capacity: 512 }, pasid: { width: 20 } } : {}),
  };
}

/** An address that is fixed by Enhanced Allocation has no BAR (PCIe Base r6.0 §7.8.5). */
function refuseTwice(capabilities: CapabilitySet, bars: readonly BarSpec[]): void {
  const interrupts = bars.find(({ index }) => index === INTERRUPT_BAR);
  if (capabilities.msix !== undefined && (interrupts === undefined || interrupts.kind === 'io' || interrupts.bytes < INTERRUPTS_BYTES)) {
    const there = interrupts === undefined ? 'has no such BAR' : `has ${interrupts.bytes} bytes of ${interrupts.kind} there`;
    throw new ModelError(
      'EINVAL',
      `the MSI-X capability has its table in 64 KiB of BAR ${INTERRUPT_BAR}, and the function ${there}`,
      'capabilities',
    );
  }
  for (const { indicator } of capabilities.enhancedAllocation?.entries ?? []) {
    const bar = bars.find(({ index, kind }) => indicator === index || (kind === 'memory64' && indicator === index + 1));
    if (bar === undefined) continue;
    throw new ModelError('EINVAL', `an EA entry is for BAR ${indicator}, and the function has BAR ${bar.index} there`, 'capabilities');
  }
}
