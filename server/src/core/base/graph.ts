/**
 * An object graph as plain data: objects that are shared stay shared, cycles stay cycles, and every order stays as it is.
 *
 * `words` has the nodes one after the other, from number 0 on, each {@link NODE} with what it has. A value is `8 * payload + tag` ({@link TAG}), exact in a
 * double; an integer's payload is its zigzag, as protobuf's sint64 has it.
 */
import type { StandIn, Stateful } from './saved-state.ts';

/** A run of bytes that typed arrays of the graph share. */
export interface GraphBuffer {
  /** Where its first byte is modulo 8: a typed array needs its alignment. */
  readonly lead: number;
  readonly bytes: Uint8Array;
  /** Somebody else's: whoever restores a graph copies them. */
  readonly borrowed: boolean;
}

/** The keys of an object, in order. */
export interface GraphShape {
  /** {@link StateKind}; empty of a plain object. */
  readonly kind: string;
  readonly keys: readonly string[];
}

export interface Graph {
  /** Of the first nodes: objects that are there before. */
  readonly anchors: readonly string[];
  readonly strings: readonly string[];
  /** Those that are no safe integers. */
  readonly numbers: readonly number[];
  readonly bigints: readonly bigint[];
  readonly shapes: readonly GraphShape[];
  readonly words: readonly number[];
  readonly buffers: readonly GraphBuffer[];
}

export const TAG_BITS = 3;
export const TAG = { integer: 0, reference: 1, string: 2, number: 3, bigint: 4, constant: 5 } as const;
export const CONSTANTS = { undefined: 0, null: 1, false: 2, true: 3, hole: 4 } as const;

/**
 * What follows a node's number. `object`, `instance` (of a {@link StateKind}) and `kept` (of a class that restoring has an instance of): its shape, and a value for each
 * key. `array` and `set`: how many values, and these; `map`: how many, and key and value of each. `view`: {@link VIEW_TYPES}, buffer, offset in bytes, length.
 * `fixed`: nothing.
 */
export const NODE = { object: 0, array: 1, map: 2, set: 3, view: 4, instance: 5, kept: 6, fixed: 7 } as const;

export const VIEW_TYPES = {
  Uint8Array,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
} as const;
export type View = InstanceType<(typeof VIEW_TYPES)[keyof typeof VIEW_TYPES]>;
export const VIEW_NAMES = Object.keys(VIEW_TYPES) as readonly (keyof typeof VIEW_TYPES)[];

/** Integers of which eight times the zigzag is exact. */
export const INTEGER_MAX = 2 ** 48;

export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The object that a node is to others. */
export function standsFor(node: object): object {
  return (node as Partial<StandIn>).standsFor ?? node;
}

/** An object of its own class that lists its state. */
export function isStateful(value: object): value is Stateful {
  return !isPlain(value) && typeof (value as { state?: unknown }).state === 'function';
}
