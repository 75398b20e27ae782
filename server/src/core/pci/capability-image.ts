/** Bytes of single capabilities for images of our own models: what the tables call read-only, and the values at power-up. */
import { ModelError } from '../base/index.ts';
import type { Placed } from './capability-spec.ts';

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

/** The structure of `bytes` bytes; its first two are filled in by the builder. `fill` has the offsets of the specification. */
export function standard(name: string, id: number, placed: Placed, bytes: number, fill: (view: DataView) => void): CapabilityImage {
  return { name, id, extended: false, at: placed.at, version: 0, body: filled(bytes, fill) };
}

/** The structure of `bytes` bytes; its first four are filled in by the builder. `fill` has the offsets of the specification. */
export function extended(
  name: string,
  id: number,
  version: number,
  placed: Placed,
  bytes: number,
  fill: (view: DataView) => void,
): CapabilityImage {
  return { name, id, extended: true, at: placed.at, version, body: filled(bytes, fill) };
}

function filled(bytes: number, fill: (view: DataView) => void): Uint8Array {
  const body = new Uint8Array(bytes);
  fill(new DataView(body.buffer));
  return body;
}

/** Refuses what is not an integer of the range with `EINVAL`; `what` as in "vectors of MSI". */
export function inRange(value: number, low: number, high: number, what: string): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new ModelError('EINVAL', `${what}: ${value} is no integer from ${low} to ${high}`, 'capabilities');
}

/** Refuses with `EINVAL` what is none of the values. */
export function oneOf(value: number, values: readonly number[], what: string): number {
  if (values.includes(value)) return value;
  throw new ModelError('EINVAL', `${what}: ${value} is none of ${values.join(', ')}`, 'capabilities');
}
