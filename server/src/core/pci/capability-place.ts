/** Where the capabilities of an image of our own are. */
import { ModelError, hex, hexDigits } from '../base/index.ts';
import type { CapabilityImage } from './capability-image.ts';
import { HEADER, STATUS_CAPABILITIES } from './header.ts';

const STANDARD_START = 0x40;
const EXTENDED_START = 0x100;

/** Gives every capability a place, links both chains, and refuses overlap with `EINVAL` that names both. */
export function layOut(image: Uint8Array, capabilities: readonly CapabilityImage[]): void {
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
    throw new ModelError('EINVAL', `the ${capability.name} capability at ${hex(at)} is misaligned or outside of ${range}`, 'capabilities');
  }
  if (next !== undefined && next.at < last) {
    throw new ModelError(
      'EINVAL',
      `the ${capability.name} capability at ${hex(at)} to ${hex(last - 1)} overlaps the ${next.capability.name} capability at ${hex(next.at)}`,
      'capabilities',
    );
  }
}
