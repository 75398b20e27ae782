import type { U64 } from '../../proto/index.ts';
import { msOfNs, numberOf } from './numbers.ts';
import { shown } from './shown.ts';

/** How far the machine's clock moved between a call and its answer. */
export interface Waited {
  readonly elapsedMs: number;
}

export function waited(elapsedNs: U64): Waited {
  return shown({ elapsedMs: msOfNs(numberOf(elapsedNs)) });
}
