/** Builds images of configuration space for our own models. */
import { ModelError, hex, hexDigits } from '../base/index.ts';
import { PORT_TYPE } from './capability-body.ts';
import { capabilityImages, type CapabilityImage, type CapabilitySet } from './capability-image.ts';
import { COMMAND, HEADER, HEADER_TYPE, STATUS_CAPABILITIES } from './header.ts';

export interface BarSpec {
  /** 0 to 5; a 64-bit one takes the next index too. */
  readonly index: number;
  /** A power of two: at least 16 for memory, 4 for I/O. */
  readonly bytes: bigint;
  readonly kind: 'io' | 'memory32' | 'memory64';
  readonly prefetchable?: boolean;
  /** Where firmware has put it: a multiple of `bytes`. */
  readonly address?: bigint;
}

interface FunctionIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** 24 bits. */
  readonly classCode: number;
  readonly multiFunction?: boolean;
  /** Command register at power-up. */
  readonly command?: number;
}

export interface EndpointSpec extends FunctionIdentity {
  readonly subsystem?: { readonly vendor: number; readonly device: number };
  readonly bars: readonly BarSpec[];
  readonly capabilities: CapabilitySet;
}

export interface BridgeSpec {
  readonly kind: 'root-port' | 'upstream-port' | 'downstream-port';
  readonly primary: number;
  readonly secondary: number;
  readonly subordinate: number;
  readonly multiFunction?: boolean;
  /** False: the port has no ACS, and what is below shares a group with its peers. Default true; upstream ports never have it. */
  readonly acs?: boolean;
  /** The memory window: multiples of 1 MiB below 4 GiB, the end exclusive. Absent: closed. */
  readonly window?: { readonly base: number; readonly end: number };
}

/** QEMU's vendor ID for devices that no registered vendor makes; the device IDs below are this project's choice in it. */
const VENDOR_UNREGISTERED = 0x1234;
const DEVICE = {
  probe: 0x11d0,
  hostBridge: 0x11d1,
  rootPort: 0x11d2,
  upstreamPort: 0x11d3,
  downstreamPort: 0x11d4,
  remote: 0x11d5,
} as const;

const CLASS = { hostBridge: 0x060000, pciBridge: 0x060400, otherDevice: 0xff0000 } as const;
/** SV, TB, RR, CR, UF and DT are offered; SV, RR, CR and UF enabled, as Linux's pci_enable_acs leaves them. */
const ACS_OFFERED = 0x5f;
const ACS_ENABLED = 0x1d;

const STANDARD_START = 0x40;
const EXTENDED_START = 0x100;
const EXTENDED_END = 0x1000;

/** A type 0 image: 4096 bytes with a PCI Express capability, else 256. What overlaps or does not fit is `EINVAL`. */
export function endpointConfig(spec: EndpointSpec): Uint8Array {
  const image = newImage(spec, spec.capabilities, HEADER_TYPE.endpoint);
  const view = new DataView(image.buffer);
  if (spec.subsystem !== undefined) {
    view.setUint16(0x2c, spec.subsystem.vendor, true);
    view.setUint16(0x2e, spec.subsystem.device, true);
  }
  writeBars(view, spec.bars);
  layOut(image, capabilityImages(spec.capabilities));
  return image;
}

/** A type 1 image with memory decoding and bus mastering enabled. */
export function bridgeConfig(spec: BridgeSpec): Uint8Array {
  const port = {
    'root-port': { device: DEVICE.rootPort, portType: PORT_TYPE.rootPort },
    'upstream-port': { device: DEVICE.upstreamPort, portType: PORT_TYPE.upstreamPort },
    'downstream-port': { device: DEVICE.downstreamPort, portType: PORT_TYPE.downstreamPort },
  }[spec.kind];
  if (spec.secondary <= spec.primary || spec.subordinate < spec.secondary || spec.subordinate > 0xff) {
    throw new ModelError(
      'EINVAL',
      `bus numbers of a ${spec.kind}: primary ${spec.primary} < secondary ${spec.secondary} <= subordinate ${spec.subordinate} <= 255 must hold`,
      'secondary',
    );
  }
  const capabilities: CapabilitySet = {
    power: { noSoftReset: true },
    express: { portType: port.portType, maxPayloadBytes: 256, maxReadRequestBytes: 512 },
    aer: {},
    ...(spec.acs === false || spec.kind === 'upstream-port' ? {} : { acs: { offered: ACS_OFFERED, enabled: ACS_ENABLED } }),
  };
  const identity = {
    vendor: VENDOR_UNREGISTERED,
    device: port.device,
    classCode: CLASS.pciBridge,
    command: COMMAND.memory | COMMAND.busMaster,
    ...(spec.multiFunction === undefined ? {} : { multiFunction: spec.multiFunction }),
  };
  const image = newImage(identity, capabilities, HEADER_TYPE.bridge);
  image[HEADER.primaryBus] = spec.primary;
  image[HEADER.secondaryBus] = spec.secondary;
  image[HEADER.subordinateBus] = spec.subordinate;
  writeWindows(new DataView(image.buffer), spec.window);
  layOut(image, capabilityImages(capabilities));
  return image;
}

/** A host bridge: conventional, no BARs, no capabilities. */
export function hostBridgeConfig(spec: { readonly multiFunction?: boolean } = {}): Uint8Array {
  return endpointConfig({
    vendor: VENDOR_UNREGISTERED,
    device: DEVICE.hostBridge,
    classCode: CLASS.hostBridge,
    multiFunction: spec.multiFunction ?? false,
    command: COMMAND.memory | COMMAND.busMaster,
    bars: [],
    capabilities: {},
  });
}

export interface ProbeSpec {
  /** On a root bus: a root complex integrated endpoint, which has no link. */
  readonly integrated: boolean;
  readonly multiFunction?: boolean;
  /** Has ACS with its isolating services enabled, which matters in a multifunction device only. */
  readonly acs?: boolean;
  /** Default true. */
  readonly ats?: boolean;
  /** Addresses of BAR 0 (4 KiB) and BAR 2 (64 KiB, MSI-X); absent: 0. */
  readonly barAddresses?: readonly [bigint, bigint];
}

/** BAR sizes of {@link dmaProbeConfig} and {@link remoteConfig}, by index. */
export const PROBE_BAR_BYTES: readonly bigint[] = [0x1000n, 0n, 0x10000n];

/**
 * `dma-probe`: FLR, MPS 256 and MRRS 512 in force, PM, MSI-X with 32 vectors in BAR 2, AER, ATS with a queue of 32, PRI, PASID of 20 bits.
 * Memory decoding and bus mastering are on; ATS is off until an IOMMU driver attaches the function.
 */
export function dmaProbeConfig(spec: ProbeSpec): Uint8Array {
  return endpointConfig(probeSpec(spec, DEVICE.probe));
}

/** `remote`: the same structures as `dma-probe`, under a device ID of its own. */
export function remoteConfig(spec: ProbeSpec): Uint8Array {
  return endpointConfig(probeSpec(spec, DEVICE.remote));
}

function probeSpec(spec: ProbeSpec, device: number): EndpointSpec {
  const ats = spec.ats ?? true;
  const [first, second] = spec.barAddresses ?? [0n, 0n];
  return {
    vendor: VENDOR_UNREGISTERED,
    device,
    revision: 1,
    classCode: CLASS.otherDevice,
    subsystem: { vendor: VENDOR_UNREGISTERED, device },
    command: COMMAND.memory | COMMAND.busMaster,
    multiFunction: spec.multiFunction ?? false,
    bars: [
      { index: 0, bytes: 0x1000n, kind: 'memory32', address: first },
      { index: 2, bytes: 0x10000n, kind: 'memory32', address: second },
    ],
    capabilities: {
      power: { noSoftReset: true },
      express: {
        portType: spec.integrated ? PORT_TYPE.integratedEndpoint : PORT_TYPE.endpoint,
        flr: true,
        maxPayloadBytes: 256,
        maxReadRequestBytes: 512,
      },
      msix: { vectors: 32, bar: 2, tableOffset: 0, pendingOffset: 0x8000 },
      aer: {},
      ...(spec.acs === true ? { acs: { offered: ACS_OFFERED, enabled: ACS_ENABLED } } : {}),
      ...(ats ? { ats: { queueDepth: 32 }, pri: { capacity: 512 }, pasid: { width: 20 } } : {}),
    },
  };
}

function newImage(spec: FunctionIdentity, capabilities: CapabilitySet, headerType: number): Uint8Array {
  const image = new Uint8Array(capabilities.express === undefined ? EXTENDED_START : EXTENDED_END);
  const view = new DataView(image.buffer);
  view.setUint16(HEADER.vendor, spec.vendor, true);
  view.setUint16(HEADER.device, spec.device, true);
  view.setUint16(HEADER.command, spec.command ?? 0, true);
  view.setUint32(HEADER.revision, ((spec.classCode << 8) | (spec.revision ?? 0)) >>> 0, true);
  image[HEADER.headerType] = headerType | (spec.multiFunction === true ? 0x80 : 0);
  return image;
}

function writeBars(view: DataView, bars: readonly BarSpec[]): void {
  const owners: (number | undefined)[] = [];
  for (const bar of bars) {
    const wide = bar.kind === 'memory64';
    const field = `bars[${bar.index}]`;
    const address = bar.address ?? 0n;
    if (!Number.isInteger(bar.index) || bar.index < 0 || bar.index + (wide ? 1 : 0) > 5) {
      throw new ModelError('EINVAL', `there is no place for a ${bar.kind} BAR ${bar.index}`, field);
    }
    if ((bar.bytes & (bar.bytes - 1n)) !== 0n || bar.bytes < (bar.kind === 'io' ? 4n : 16n)) {
      throw new ModelError('EINVAL', `the size ${hex(bar.bytes)} of BAR ${bar.index} is not a power of two that a BAR can have`, field);
    }
    if ((address & (bar.bytes - 1n)) !== 0n || (!wide && address + bar.bytes > 1n << 32n)) {
      throw new ModelError('EINVAL', `BAR ${bar.index} of ${hex(bar.bytes)} bytes cannot be at ${hex(address)}`, field);
    }
    for (const index of wide ? [bar.index, bar.index + 1] : [bar.index]) {
      if (owners[index] !== undefined) throw new ModelError('EINVAL', `BAR ${bar.index} overlaps BAR ${owners[index]}`, field);
      owners[index] = bar.index;
    }
    const type = (bar.kind === 'io' ? 1 : wide ? 4 : 0) | (bar.prefetchable === true ? 8 : 0);
    view.setUint32(HEADER.bar0 + 4 * bar.index, Number(address & 0xffff_ffffn) | type, true);
    if (wide) view.setUint32(HEADER.bar0 + 4 * bar.index + 4, Number(address >> 32n), true);
  }
}

/** A window whose base is above its limit is closed. */
function writeWindows(view: DataView, window: { readonly base: number; readonly end: number } | undefined): void {
  view.setUint16(0x1c, 0x00f0, true);
  view.setUint16(0x20, window === undefined ? 0xfff0 : (window.base >>> 16) & 0xfff0, true);
  view.setUint16(0x22, window === undefined ? 0 : ((window.end - 1) >>> 16) & 0xfff0, true);
  view.setUint32(0x24, 0x0001_fff1, true);
}

/** Gives every capability a place, links both chains and refuses overlap. */
function layOut(image: Uint8Array, capabilities: readonly CapabilityImage[]): void {
  const standard = place(
    capabilities.filter((c) => !c.extended),
    STANDARD_START,
    EXTENDED_START,
  );
  const extended = place(
    capabilities.filter((c) => c.extended),
    EXTENDED_START,
    image.length,
  );
  let pointer: number = HEADER.capabilities;
  for (const { at, capability } of standard) {
    image.set(capability.body, at);
    image[at] = capability.id;
    image[pointer] = at;
    pointer = at + 1;
  }
  if (standard.length > 0) image[HEADER.status]! |= STATUS_CAPABILITIES;
  const view = new DataView(image.buffer);
  extended.forEach(({ at, capability }, i) => {
    image.set(capability.body, at);
    view.setUint32(at, (capability.id | (capability.version << 16) | ((extended[i + 1]?.at ?? 0) << 20)) >>> 0, true);
  });
  // The chain begins at 0x100; a null capability there leads to the first one.
  const first = extended[0];
  if (first !== undefined && first.at !== EXTENDED_START) view.setUint32(EXTENDED_START, (first.at << 20) >>> 0, true);
}

interface Place {
  readonly at: number;
  readonly capability: CapabilityImage;
}

function place(capabilities: readonly CapabilityImage[], start: number, end: number): Place[] {
  const fixed = capabilities.filter((c) => c.at !== undefined).map((capability): Place => ({ at: capability.at ?? 0, capability }));
  const placed = [...fixed];
  for (const capability of capabilities) {
    if (capability.at !== undefined) continue;
    let at = start;
    for (const other of placed.sort((a, b) => a.at - b.at)) {
      if (at + capability.body.length <= other.at) break;
      at = Math.max(at, (other.at + other.capability.body.length + 3) & ~3);
    }
    placed.push({ at, capability });
  }
  placed.sort((a, b) => a.at - b.at);
  placed.forEach((one, i) => checkPlace(one, placed[i + 1], start, end));
  return placed;
}

function checkPlace(one: Place, next: Place | undefined, start: number, end: number): void {
  const { at, capability } = one;
  const last = at + capability.body.length;
  if (at < start || last > end || (at & 3) !== 0) {
    const range = `0x${hexDigits(start, 2)} to 0x${hexDigits(end - 1, 2)}`;
    throw new ModelError('EINVAL', `the ${capability.name} capability at ${hex(at)} is misaligned or outside of ${range}`, capability.name);
  }
  if (next !== undefined && next.at < last) {
    throw new ModelError(
      'EINVAL',
      `the ${capability.name} capability at ${hex(at)} to ${hex(last - 1)} overlaps the ${next.capability.name} capability at ${hex(next.at)}`,
      next.capability.name,
    );
  }
}
