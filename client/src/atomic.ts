/** What an AtomicOp does (PCIe Base r6.0 §6.15). */
import { invalid } from './errors.ts';

/** An atomic's operands. `bytes`: 4 or 8 (compare-and-swap 16 too); 8 when absent. */
export type Atomic = { readonly bytes?: 4 | 8 | 16 } & (
  | { readonly fetchAdd: bigint | number }
  | { readonly swap: bigint | number; readonly compare?: bigint | number }
);

export interface AtomicFields {
  readonly operation: 'fetch-add' | 'swap' | 'compare-and-swap';
  readonly bytes: number;
  readonly data: Uint8Array;
}

/** As a call has it. Throws EINVAL for a number that is no safe integer. */
export function atomicFields(atomic: Atomic): AtomicFields {
  const bytes = atomic.bytes ?? 8;
  if ('fetchAdd' in atomic) return { operation: 'fetch-add', bytes, data: operands(bytes, atomic.fetchAdd) };
  if (atomic.compare === undefined) return { operation: 'swap', bytes, data: operands(bytes, atomic.swap) };
  return { operation: 'compare-and-swap', bytes, data: operands(bytes, atomic.compare, atomic.swap) };
}

/** Little-endian, one after the other; bits beyond the width are dropped, so a negative value is its two's complement. */
function operands(bytes: number, ...values: readonly (bigint | number)[]): Uint8Array {
  const out = new Uint8Array(bytes * values.length);
  for (const [index, value] of values.entries()) {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) throw invalid('data', `${value} is not a safe integer; pass a bigint`);
    let rest = BigInt.asUintN(bytes * 8, BigInt(value));
    for (let at = 0; at < bytes; at++) {
      out[index * bytes + at] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }
  return out;
}
