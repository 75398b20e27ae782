import type { iommud } from '../../proto/index.ts';
import { bigintOf } from './numbers.ts';
import { shown } from './shown.ts';

/** Both ends are in it. */
export interface IovaRange {
  readonly first: bigint | number;
  readonly last: bigint | number;
}

/** One that was answered. */
export interface FoundRange {
  readonly first: bigint;
  readonly last: bigint;
}

export function foundRange({ first, last }: iommud.v1.IovaRange): FoundRange {
  return shown({ first: first ? bigintOf(first) : 0n, last: last ? bigintOf(last) : 0n });
}
