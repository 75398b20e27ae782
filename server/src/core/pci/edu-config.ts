import { endpointConfig } from './build-config.ts';
import { VENDOR_UNREGISTERED } from './function-ids.ts';
import { COMMAND } from './header.ts';

/** As QEMU identifies its educational device (hw/misc/edu.c). */
const DEVICE = 0x11e8;
const REVISION = 0x10;
/** Unclassified, as PCI_CLASS_OTHERS. */
const CLASS = 0x00ff00;
const INTERRUPT_PIN = 0x3d;
const BAR_BYTES = 1n << 20n;

/** BAR sizes of {@link eduConfig}, by index. */
export const EDU_BAR_BYTES: readonly bigint[] = [BAR_BYTES];

export interface EduSpec {
  readonly multiFunction?: boolean;
  /** Address of BAR 0 (1 MiB); absent: 0. */
  readonly address?: bigint;
}

/**
 * `edu`: a conventional function with one BAR, INTA, MSI with one vector, and PM, by which it can be reset. Memory decoding and bus mastering are on.
 */
export function eduConfig({ multiFunction = false, address = 0n }: EduSpec = {}): Uint8Array {
  const image = endpointConfig({
    vendor: VENDOR_UNREGISTERED,
    device: DEVICE,
    revision: REVISION,
    classCode: CLASS,
    multiFunction,
    command: COMMAND.memory | COMMAND.busMaster,
    bars: [{ index: 0, bytes: BAR_BYTES, kind: 'memory32', address }],
    capabilities: { power: { noSoftReset: false }, msi: { vectors: 1, wide: true, perVectorMask: false } },
  });
  image[INTERRUPT_PIN] = 1;
  return image;
}
