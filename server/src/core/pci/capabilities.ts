/**
 * Walks the two capability chains (PCIe Base r6.0 §7.5.1.1.11 and §7.6.3). Both walks are bounded by the set of offsets they have been
 * at, so a chain that loops or leaves the space ends with a warning and keeps what came before.
 */
import { hex } from '../base/index.ts';
import { HEADER, HEADER_TYPE, STATUS_CAPABILITIES } from './header.ts';

export interface Capability {
  readonly id: number;
  readonly offset: number;
  readonly extended: boolean;
  /** Version field of an extended capability's header; 0 for one in the first 256 bytes. */
  readonly version: number;
}

export interface CapabilityWalk {
  readonly capabilities: readonly Capability[];
  readonly warnings: readonly string[];
}

const HEADER_BYTES = 0x40;
const EXTENDED_START = 0x100;

/** Both chains, in chain order. An image that ends before a chain begins has none of it, without a warning. */
export function walkCapabilities(image: Uint8Array): CapabilityWalk {
  const capabilities: Capability[] = [];
  const warnings: string[] = [];
  walkStandard(image, capabilities, warnings);
  walkExtended(image, capabilities, warnings);
  return { capabilities, warnings };
}

function walkStandard(image: Uint8Array, found: Capability[], warnings: string[]): void {
  const status = image[HEADER.status]! | (image[HEADER.status + 1]! << 8);
  if ((status & STATUS_CAPABILITIES) === 0 || status === 0xffff) return;
  const cardbus = (image[HEADER.headerType]! & 0x7f) === HEADER_TYPE.cardbus;
  let from: number = cardbus ? HEADER.cardbusCapabilities : HEADER.capabilities;
  const last = Math.min(image.length, EXTENDED_START) - 4;
  const seen = new Set<number>();
  for (;;) {
    // The two low bits are reserved and must be masked off.
    const offset = image[from]! & ~3;
    if (offset === 0) return;
    if (offset < HEADER_BYTES) {
      warnings.push(`the capability pointer at ${hex(from)} leads to ${hex(offset)}, inside the header`);
      return;
    }
    // A dump of 64 or 128 bytes does not show all of the chain.
    if (offset > last) return;
    if (seen.has(offset)) {
      warnings.push(`the capability chain loops: the pointer at ${hex(from)} leads back to ${hex(offset)}`);
      return;
    }
    seen.add(offset);
    const id = image[offset]!;
    if (id === 0xff) {
      warnings.push(`the capability chain is broken: there is no capability at ${hex(offset)}, where the pointer at ${hex(from)} leads`);
      return;
    }
    found.push({ id, offset, extended: false, version: 0 });
    from = offset + 1;
  }
}

function walkExtended(image: Uint8Array, found: Capability[], warnings: string[]): void {
  if (image.length <= EXTENDED_START) return;
  const seen = new Set<number>();
  let from = -1;
  let offset = EXTENDED_START;
  for (;;) {
    const header = (image[offset]! | (image[offset + 1]! << 8) | (image[offset + 2]! << 16) | (image[offset + 3]! << 24)) >>> 0;
    const id = header & 0xffff;
    if (header === 0) return;
    if (header === 0xffffffff) {
      if (from >= 0) warnings.push(`the extended capability chain is broken: nothing is at ${hex(offset)}, where ${hex(from)} leads`);
      return;
    }
    seen.add(offset);
    // ID 0 is the null capability: a place holder that only links.
    if (id !== 0) found.push({ id, offset, extended: true, version: (header >>> 16) & 0xf });
    const pointer = header >>> 20;
    // The two low bits are reserved and must be masked off.
    const next = pointer & ~3;
    if (pointer !== next) warnings.push(`the extended capability at ${hex(offset)} has the misaligned pointer ${hex(pointer)}`);
    if (next === 0) return;
    if (next < EXTENDED_START) {
      warnings.push(`the extended capability at ${hex(offset)} leads to ${hex(next)}, outside of extended configuration space`);
      return;
    }
    if (seen.has(next)) {
      warnings.push(`the extended capability chain loops: ${hex(offset)} leads back to ${hex(next)}`);
      return;
    }
    from = offset;
    offset = next;
  }
}
