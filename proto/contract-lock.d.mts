import type { Root } from 'protobufjs';

/** What a contract has: each message's fields and each enum's values by number, and the reserved ranges. */
export interface Contract {
  readonly live: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly reserved: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}
export interface Lock {
  readonly live?: Contract['live'];
  readonly retired?: Contract['live'];
}
export function loadContract(proto: string): Root;
export function describeContract(root: Root): Contract;
export function compareContract(lock: Lock, now: Contract): string[];
export function acceptContract(lock: Lock, now: Contract): { readonly lock: Lock; readonly refused: readonly string[] };
