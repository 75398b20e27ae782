/** Builds images of configuration space for our own models. */
import { ModelError, hex } from '../base/index.ts';
import { layOut } from './capability-place.ts';
import type { CapabilitySet } from './capability-spec.ts';
import { extendedImages } from './extended-capability-image.ts';
import { HEADER, HEADER_TYPE } from './header.ts';
import { standardImages } from './standard-capability-image.ts';

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

export interface FunctionIdentity {
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
  /** 1 to 4: INTA to INTD. Absent: none. */
  readonly interruptPin?: number;
  readonly capabilities: CapabilitySet;
}

const CONVENTIONAL_BYTES = 0x100;
const EXPRESS_BYTES = 0x1000;

/** A type 0 image: 4096 bytes with a PCI Express capability, else 256. What overlaps or does not fit is `EINVAL`. */
export function endpointConfig(spec: EndpointSpec): Uint8Array {
  const image = newImage(spec, spec.capabilities, HEADER_TYPE.endpoint);
  const view = new DataView(image.buffer);
  if (spec.subsystem !== undefined) {
    view.setUint16(0x2c, spec.subsystem.vendor, true);
    view.setUint16(0x2e, spec.subsystem.device, true);
  }
  writeBars(view, spec.bars);
  image[HEADER.interruptPin] = spec.interruptPin ?? 0;
  layCapabilities(image, spec.capabilities);
  return image;
}

/** The header alone. Capabilities are laid over it by {@link layCapabilities}. */
export function newImage(spec: FunctionIdentity, capabilities: CapabilitySet, headerType: number): Uint8Array {
  const image = new Uint8Array(capabilities.express === undefined ? CONVENTIONAL_BYTES : EXPRESS_BYTES);
  const view = new DataView(image.buffer);
  view.setUint16(HEADER.vendor, spec.vendor, true);
  view.setUint16(HEADER.device, spec.device, true);
  view.setUint16(HEADER.command, spec.command ?? 0, true);
  view.setUint32(HEADER.revision, ((spec.classCode << 8) | (spec.revision ?? 0)) >>> 0, true);
  image[HEADER.headerType] = headerType | (spec.multiFunction === true ? 0x80 : 0);
  return image;
}

/** Refuses with `EINVAL` what overlaps, does not fit, or cannot be, naming the capability. */
export function layCapabilities(image: Uint8Array, capabilities: CapabilitySet): void {
  layOut(image, [...standardImages(capabilities), ...extendedImages(capabilities)]);
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
