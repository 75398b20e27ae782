import { PORT_TYPE } from './capability-body.ts';
/** Bytes of single capabilities for images of our own models: what the tables call read-only, and the values at power-up. */
import { CAPABILITY } from './capability-table.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';

/** A capability to be laid out; its header's pointer is filled in by the builder. */
export interface CapabilityImage {
  readonly name: string;
  readonly id: number;
  readonly extended: boolean;
  /** Where it must be; absent: the next free place. */
  readonly at: number | undefined;
  readonly version: number;
  readonly body: Uint8Array;
}

/** `at`: byte offset where the capability must be. */
export interface Placed {
  readonly at?: number;
}
export interface ExpressSpec extends Placed {
  readonly portType: number;
  readonly flr?: boolean;
  /** Supported, and in force: 128 to 4096. */
  readonly maxPayloadBytes: number;
  /** MRRS in force: 128 to 4096. */
  readonly maxReadRequestBytes: number;
}
export interface MsixSpec extends Placed {
  /** 1 to 2048. */
  readonly vectors: number;
  readonly bar: number;
  /** Byte offsets in the BAR, multiples of 8. */
  readonly tableOffset: number;
  readonly pendingOffset: number;
}
export interface AcsSpec extends Placed {
  /** ACS Capability bits offered, and those enabled. */
  readonly offered: number;
  readonly enabled: number;
}
export interface AtsSpec extends Placed {
  /** Invalidate Queue Depth: 1 to 32. */
  readonly queueDepth: number;
}
export interface CapabilitySet {
  readonly power?: Placed & { readonly noSoftReset: boolean };
  readonly advancedFeatures?: Placed;
  readonly msix?: MsixSpec;
  readonly express?: ExpressSpec;
  readonly aer?: Placed;
  readonly acs?: AcsSpec;
  readonly ats?: AtsSpec;
  readonly pri?: Placed & { readonly capacity: number };
  readonly pasid?: Placed & { readonly width: number };
}

const SPEED_16GT = 4;
const WIDTH = 16;

/** Every capability of the set, in a fixed order. */
export function capabilityImages(set: CapabilitySet): CapabilityImage[] {
  const images: CapabilityImage[] = [];
  if (set.power !== undefined) images.push(power(set.power));
  if (set.express !== undefined) images.push(express(set.express));
  if (set.msix !== undefined) images.push(msix(set.msix));
  if (set.advancedFeatures !== undefined)
    images.push(standard('AF', CAPABILITY.advancedFeatures, set.advancedFeatures, [0, 0, 6, 3, 0, 0]));
  if (set.aer !== undefined) images.push(aer(set.aer, set.express?.portType === PORT_TYPE.rootPort));
  if (set.acs !== undefined) {
    images.push(extended('ACS', EXTENDED_CAPABILITY.acs, 1, set.acs, [...half(set.acs.offered), ...half(set.acs.enabled)]));
  }
  if (set.ats !== undefined) {
    // Page Aligned Request (bit 5) set; depth 32 is written as 0.
    images.push(extended('ATS', EXTENDED_CAPABILITY.ats, 1, set.ats, [...half(0x20 | (set.ats.queueDepth & 0x1f)), 0, 0]));
  }
  if (set.pri !== undefined) {
    // PRG Response PASID Required (bit 15) and Stopped (bit 8).
    images.push(extended('PRI', EXTENDED_CAPABILITY.pri, 1, set.pri, [0, 0, ...half(0x8100), ...word(set.pri.capacity), ...word(0)]));
  }
  if (set.pasid !== undefined) {
    images.push(extended('PASID', EXTENDED_CAPABILITY.pasid, 1, set.pasid, [...half((set.pasid.width << 8) | 0x6), 0, 0]));
  }
  return images;
}

function power(spec: Placed & { readonly noSoftReset: boolean }): CapabilityImage {
  // Version 3 of the interface, no D1, no D2, no PME.
  return standard('PM', CAPABILITY.powerManagement, spec, [0, 0, ...half(3), ...half(spec.noSoftReset ? 8 : 0), 0, 0]);
}

function msix(spec: MsixSpec): CapabilityImage {
  return standard('MSI-X', CAPABILITY.msix, spec, [
    0,
    0,
    ...half(spec.vectors - 1),
    ...word(spec.tableOffset | spec.bar),
    ...word(spec.pendingOffset | spec.bar),
  ]);
}

function express(spec: ExpressSpec): CapabilityImage {
  const body = new Uint8Array(0x3c);
  const view = new DataView(body.buffer);
  const port = spec.portType === PORT_TYPE.rootPort || spec.portType === PORT_TYPE.downstreamPort;
  const payload = Math.log2(spec.maxPayloadBytes / 128);
  const readRequest = Math.log2(spec.maxReadRequestBytes / 128);
  view.setUint16(2, 2 | (spec.portType << 4), true);
  // Extended tags (bit 5), role-based error reporting (bit 15).
  view.setUint32(4, payload | 0x20 | 0x8000 | (spec.flr === true ? 1 << 28 : 0), true);
  // Relaxed ordering, extended tags and no snoop enabled, as after reset.
  view.setUint16(8, 0x0910 | (payload << 5) | (readRequest << 12), true);
  if (spec.portType !== PORT_TYPE.integratedEndpoint) {
    view.setUint32(0xc, SPEED_16GT | (WIDTH << 4) | (port ? 1 << 20 : 0), true);
    view.setUint16(0x12, SPEED_16GT | (WIDTH << 4) | (port ? 1 << 13 : 0), true);
    view.setUint32(0x2c, 0x1e, true);
    view.setUint16(0x30, SPEED_16GT, true);
  }
  // Completion timeout ranges A to D and their disable; one end-end prefix, for a PASID; ARI forwarding in ports.
  view.setUint32(0x24, 0x1f | (port ? 0x20 : 0) | (1 << 21) | (1 << 22), true);
  return standard('PCI Express', CAPABILITY.express, spec, [...body]);
}

function aer(spec: Placed, root: boolean): CapabilityImage {
  const body = new Uint8Array((root ? 0x38 : 0x2c) - 4);
  const view = new DataView(body.buffer);
  // Reset values of the severity and of the correctable mask (advisory non-fatal masked).
  view.setUint32(0xc - 4, 0x0046_2030, true);
  view.setUint32(0x14 - 4, 0x2000, true);
  return extended('AER', EXTENDED_CAPABILITY.aer, 2, spec, [...body]);
}

/** `bytes`: the whole structure; its first two are filled in by the builder. */
function standard(name: string, id: number, placed: Placed, bytes: readonly number[]): CapabilityImage {
  return { name, id, extended: false, at: placed.at, version: 0, body: Uint8Array.from(bytes) };
}

/** `bytes`: what follows the four bytes of header. */
function extended(name: string, id: number, version: number, placed: Placed, bytes: readonly number[]): CapabilityImage {
  return { name, id, extended: true, at: placed.at, version, body: Uint8Array.from([0, 0, 0, 0, ...bytes]) };
}

function half(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}
function word(value: number): number[] {
  return [...half(value), ...half(value >>> 16)];
}
