/** What is where in one image, and the masks that follow from it. */
import { SIZE_LG2_MAX, applyBars, findBars, findVfBars, type Bar } from './bars.ts';
import { walkCapabilities, type Capability } from './capabilities.ts';
import { CapabilityBody, PORT_TYPE, type CapabilityKind } from './capability-body.ts';
import { CAPABILITIES, CAPABILITY, msiBytes } from './capability-table.ts';
import { EXPRESS } from './express-registers.ts';
import { resizableCount } from './extended-capability-registers.ts';
import { EXTENDED_CAPABILITIES, EXTENDED_CAPABILITY } from './extended-capability-table.ts';
import { headerRegisters } from './header.ts';
import { CONFIG_EFFECT, applyTable, newMasks, type Masks } from './register-table.ts';

/** Offsets of the capabilities that code reads by name; -1 for one that is absent. */
export interface Places {
  readonly express: number;
  /** Device Control 2, of a port that has it. */
  readonly deviceControl2: number;
  /** Power Management Control/Status itself. */
  readonly powerControl: number;
  readonly advancedFeatures: number;
  readonly ats: number;
  readonly pasid: number;
  readonly pri: number;
  readonly acs: number;
  readonly sriov: number;
  readonly msi: number;
  readonly msix: number;
}

export interface ConfigLayout {
  readonly capabilities: readonly Capability[];
  readonly warnings: readonly string[];
  readonly places: Places;
  /** A {@link PORT_TYPE}. */
  readonly portType: number;
  readonly bars: readonly Bar[];
  /** Of virtual functions: see {@link findVfBars}. */
  readonly vfBars: readonly Bar[];
  readonly masks: Masks;
}

interface Remembered {
  readonly image: Uint8Array;
  readonly barBytes: readonly bigint[];
  readonly layout: ConfigLayout;
}

/** Layouts that are kept for images to come: a machine has few kinds of function, and so have the machines of one service. Some 60 KB each. */
const KEPT_MAX = 128;

/** What an image was laid out as last. */
const remembered = new WeakMap<Uint8Array, Remembered>();
/** By the sum of the image, the oldest first: equal images share their masks, which are most of what a function weighs. */
const kept = new Map<number, Remembered>();

/** `barBytes`: see {@link findBars}, whose `EINVAL` passes through. What it returns is shared: {@link copyMasks} before it is changed. */
export function layOutConfig(image: Uint8Array, barBytes: readonly bigint[]): ConfigLayout {
  const known = remembered.get(image);
  if (known?.barBytes === barBytes && same(known.image, image)) return known.layout;
  const found = keptLayout(image, barBytes);
  remembered.set(image, found);
  return found.layout;
}

function keptLayout(image: Uint8Array, barBytes: readonly bigint[]): Remembered {
  const sum = image.reduce((all, byte) => (Math.imul(all, 31) + byte) | 0, image.length);
  const like = kept.get(sum);
  if (like !== undefined && sameSizes(like.barBytes, barBytes) && same(like.image, image)) return { ...like, barBytes };
  const made = { image: new Uint8Array(image), barBytes, layout: layOutAnew(image, barBytes) };
  kept.delete(sum);
  kept.set(sum, made);
  const [oldest] = kept.keys();
  if (kept.size > KEPT_MAX && oldest !== undefined) kept.delete(oldest);
  return made;
}

function sameSizes(one: readonly bigint[], other: readonly bigint[]): boolean {
  return one.length === other.length && one.every((bytes, index) => bytes === other[index]);
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  if (((one.byteOffset | other.byteOffset | one.length) & 3) !== 0) return one.every((byte, at) => byte === other[at]);
  const words = new Int32Array(one.buffer, one.byteOffset, one.length >> 2);
  const others = new Int32Array(other.buffer, other.byteOffset, words.length);
  for (let at = 0; at < words.length; at++) if (words[at] !== others[at]) return false;
  return true;
}

function layOutAnew(image: Uint8Array, barBytes: readonly bigint[]): ConfigLayout {
  const { capabilities, warnings } = walkCapabilities(image);
  const places = placesOf(capabilities, image);
  const portType = places.express < 0 ? PORT_TYPE.none : (image[places.express + EXPRESS.flags]! >> 4) & 0xf;
  const masks = newMasks(image.length);
  applyTable(masks, 0, headerRegisters(image, places.express >= 0), image.length);
  for (const capability of capabilities) {
    const kind = kindOf(capability);
    if (kind === undefined) continue;
    const body = new CapabilityBody(image, capability.offset, portType, capability.version);
    applyTable(masks, capability.offset, kind.registers(body), endOf(capability, kind.bytes(body), capabilities, image.length));
  }
  const bars = findBars(image, barBytes, resizedBars(image, capabilities));
  applyBars(masks, bars);
  const vfBars = places.sriov < 0 ? [] : findVfBars(image, places.sriov, barBytes);
  applyBars(masks, vfBars, CONFIG_EFFECT.sriov);
  return { capabilities, warnings, places, portType, bars, vfBars, masks };
}

/** BAR sizes that Resizable BAR has in force: log2 of bytes by index. */
export function resizedBars(image: Uint8Array, capabilities: readonly Capability[]): Map<number, number> {
  const sizes = new Map<number, number>();
  for (const capability of capabilities) {
    if (!capability.extended || capability.id !== EXTENDED_CAPABILITY.resizableBar) continue;
    const body = new CapabilityBody(image, capability.offset, PORT_TYPE.none, capability.version);
    for (let i = 0; i < resizableCount(body); i++) {
      const control = body.u32(8 + 8 * i);
      sizes.set(control & 7, Math.min(SIZE_LG2_MAX, 20 + ((control >>> 8) & 0x3f)));
    }
  }
  return sizes;
}

/** Where a capability ends: after its bytes, or where another begins or its part of the space ends. */
function endOf(capability: Capability, bytes: number, all: readonly Capability[], imageBytes: number): number {
  let end = Math.min(capability.offset + bytes, capability.extended ? imageBytes : Math.min(imageBytes, 0x100));
  for (const other of all) if (other.offset > capability.offset) end = Math.min(end, other.offset);
  return end;
}

function kindOf(capability: Capability): CapabilityKind | undefined {
  return (capability.extended ? EXTENDED_CAPABILITIES : CAPABILITIES).find((kind) => kind.id === capability.id);
}

/** Of each ID the first in chain order, and only if its registers fit where it is. */
function placesOf(capabilities: readonly Capability[], image: Uint8Array): Places {
  const imageBytes = image.length;
  const find = (id: number, extended: boolean, bytes: number): number => {
    const found = capabilities.find((c) => c.id === id && c.extended === extended);
    return found === undefined || endOf(found, bytes, capabilities, imageBytes) < found.offset + bytes ? -1 : found.offset;
  };
  const power = find(CAPABILITY.powerManagement, false, 6);
  const msi = find(CAPABILITY.msi, false, 4);
  const express = find(CAPABILITY.express, false, 0xc);
  const second =
    express < 0 || (image[express + EXPRESS.flags]! & 0xf) < 2 ? -1 : find(CAPABILITY.express, false, EXPRESS.deviceControl2 + 2);
  return {
    express,
    deviceControl2: second < 0 ? -1 : second + EXPRESS.deviceControl2,
    powerControl: power < 0 ? -1 : power + 4,
    advancedFeatures: find(CAPABILITY.advancedFeatures, false, 6),
    ats: find(EXTENDED_CAPABILITY.ats, true, 8),
    pasid: find(EXTENDED_CAPABILITY.pasid, true, 8),
    pri: find(EXTENDED_CAPABILITY.pri, true, 0x10),
    acs: find(EXTENDED_CAPABILITY.acs, true, 8),
    sriov: find(EXTENDED_CAPABILITY.sriov, true, 0x40),
    msi: msi < 0 ? -1 : find(CAPABILITY.msi, false, msiBytes(new CapabilityBody(image, msi, PORT_TYPE.none, 0))),
    msix: find(CAPABILITY.msix, false, 12),
  };
}
