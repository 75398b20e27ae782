/** Images of bridges to conventional PCI. */
import { ModelError } from '../base/index.ts';
import { layCapabilities, newImage } from './build-config.ts';
import { PORT_TYPE } from './capability-body.ts';
import type { CapabilitySet } from './capability-spec.ts';
import { CLASS, DEVICE, VENDOR_UNREGISTERED } from './function-ids.ts';
import { COMMAND, HEADER, HEADER_TYPE } from './header.ts';
import { writeWindows, type BridgeSpec } from './port-config.ts';

export interface PciBridgeSpec extends Pick<BridgeSpec, 'primary' | 'secondary' | 'subordinate' | 'multiFunction' | 'window'> {
  /** From PCI Express, or from conventional PCI (also on a root bus). */
  readonly kind: 'pcie-to-pci-bridge' | 'pci-bridge';
}

/** A type 1 image with memory decoding and bus mastering enabled; only one from PCI Express has more than 256 bytes. */
export function pciBridgeConfig(spec: PciBridgeSpec): Uint8Array {
  if (spec.secondary <= spec.primary || spec.subordinate < spec.secondary || spec.subordinate > 0xff) {
    throw new ModelError(
      'EINVAL',
      `bus numbers of a ${spec.kind}: primary ${spec.primary} < secondary ${spec.secondary} <= subordinate ${spec.subordinate} <= 255 must hold`,
      'secondary',
    );
  }
  const express: CapabilitySet =
    spec.kind === 'pci-bridge'
      ? {}
      : { express: { portType: PORT_TYPE.expressToPci, maxPayloadBytes: 256, maxReadRequestBytes: 512 }, aer: {} };
  const capabilities: CapabilitySet = { power: { noSoftReset: true }, ...express };
  const identity = {
    vendor: VENDOR_UNREGISTERED,
    device: spec.kind === 'pci-bridge' ? DEVICE.pciBridge : DEVICE.expressToPciBridge,
    classCode: CLASS.pciBridge,
    command: COMMAND.memory | COMMAND.busMaster,
    ...(spec.multiFunction === undefined ? {} : { multiFunction: spec.multiFunction }),
  };
  const image = newImage(identity, capabilities, HEADER_TYPE.bridge);
  image[HEADER.primaryBus] = spec.primary;
  image[HEADER.secondaryBus] = spec.secondary;
  image[HEADER.subordinateBus] = spec.subordinate;
  writeWindows(new DataView(image.buffer), spec.window);
  layCapabilities(image, capabilities);
  return image;
}
