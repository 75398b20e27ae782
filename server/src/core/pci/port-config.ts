/** Images of bridges of our own: ports, and the host bridge. */
import { ModelError } from '../base/index.ts';
import { endpointConfig, layCapabilities, newImage } from './build-config.ts';
import { PORT_TYPE } from './capability-body.ts';
import { IMMEDIATE_READINESS, chosen, type CapabilityChoices } from './capability-choices.ts';
import type { CapabilitySet } from './capability-spec.ts';
import { CLASS, DEFAULT_ACS, DEVICE, VENDOR_UNREGISTERED } from './function-ids.ts';
import { COMMAND, HEADER, HEADER_TYPE } from './header.ts';

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
  /** Nothing is below at power-up, as far as the port's own registers say. */
  readonly empty?: boolean;
  /** Of the link below, as Max Link Speed has it: 1 for 2.5 GT/s to 6 for 64. Absent: 4. */
  readonly speed?: number;
  /** What Egress Control Vectors name it by. Absent: 0. */
  readonly portNumber?: number;
  readonly capabilities?: CapabilityChoices;
}

const PORTS = {
  'root-port': { device: DEVICE.rootPort, portType: PORT_TYPE.rootPort },
  'upstream-port': { device: DEVICE.upstreamPort, portType: PORT_TYPE.upstreamPort },
  'downstream-port': { device: DEVICE.downstreamPort, portType: PORT_TYPE.downstreamPort },
} as const;

/** For its slot, for errors and for containment: a message each. */
const PORT_MSI = { vectors: 4, wide: true, perVectorMask: true } as const;

/** A type 1 image with memory decoding and bus mastering enabled. */
export function bridgeConfig(spec: BridgeSpec): Uint8Array {
  const port = PORTS[spec.kind];
  if (spec.secondary <= spec.primary || spec.subordinate < spec.secondary || spec.subordinate > 0xff) {
    throw new ModelError(
      'EINVAL',
      `bus numbers of a ${spec.kind}: primary ${spec.primary} < secondary ${spec.secondary} <= subordinate ${spec.subordinate} <= 255 must hold`,
      'secondary',
    );
  }
  const capabilities = portCapabilities(spec, port.portType);
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
  if (spec.capabilities?.immediateReadiness === true) image[HEADER.status]! |= IMMEDIATE_READINESS;
  writeWindows(new DataView(image.buffer), spec.window);
  layCapabilities(image, capabilities);
  return image;
}

function portCapabilities(spec: BridgeSpec, portType: number): CapabilitySet {
  const choices = spec.capabilities ?? {};
  const { ltr, slot, rrsVisibility } = choices;
  const downstream = portType !== PORT_TYPE.upstreamPort;
  const defaults: CapabilitySet = {
    ...(downstream ? { msi: PORT_MSI } : {}),
    power: { noSoftReset: true, ...(choices.immediateReadiness === true ? { immediateReadiness: true } : {}) },
    express: {
      portType,
      maxPayloadBytes: 256,
      maxReadRequestBytes: 512,
      ...(ltr === undefined || ltr === false ? {} : { ltr: true }),
      ...(spec.speed === undefined ? {} : { speed: spec.speed }),
      ...(spec.portNumber === undefined ? {} : { portNumber: spec.portNumber }),
      ...(slot === undefined ? {} : { slot }),
      ...(spec.empty === true && downstream ? { empty: true } : {}),
      ...(rrsVisibility === undefined ? {} : { rrsVisibility }),
    },
    aer: {},
    ...(spec.acs === false || !downstream ? {} : { acs: DEFAULT_ACS }),
  };
  // A port that sends no LTR messages has no limits for them: only Device Capabilities 2 says that it takes them.
  return chosen(defaults, downstream ? { ...choices, ltr: false } : choices);
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

/** A window whose base is above its limit is closed. */
export function writeWindows(view: DataView, window: { readonly base: number; readonly end: number } | undefined): void {
  view.setUint16(0x1c, 0x00f0, true);
  view.setUint16(0x20, window === undefined ? 0xfff0 : (window.base >>> 16) & 0xfff0, true);
  view.setUint16(0x22, window === undefined ? 0 : ((window.end - 1) >>> 16) & 0xfff0, true);
  view.setUint32(0x24, 0x0001_fff1, true);
}
