import { PAGE_BYTES, type DmaOperation } from '../../base/index.ts';
import type { GuestMemory } from '../../memory/index.ts';

/**
 * A PCIe AtomicOp (Base Specification §6.15) on server RAM: operands little-endian in `data`, which then holds the old value.
 * `bytes` is the operand's size, 4 or 8 (compare-and-swap also 16); compare-and-swap has compare, then swap.
 */
export function performAtomic(
  memory: GuestMemory,
  page: number,
  offset: number,
  operation: DmaOperation,
  data: Uint8Array,
  bytes: number,
): void {
  const old = new Uint8Array(bytes);
  memory.read(page, offset, old, 0, Math.min(bytes, PAGE_BYTES - offset));
  const next = nextValue(operation, old, data, bytes);
  if (next !== undefined) memory.write(page, offset, next, 0, bytes);
  data.set(old);
}

function nextValue(operation: DmaOperation, old: Uint8Array, data: Uint8Array, bytes: number): Uint8Array | undefined {
  if (operation === 'swap') return data.slice(0, bytes);
  if (operation === 'compare-and-swap') {
    const equal = old.every((byte, i) => byte === data[i]);
    return equal ? data.slice(bytes, 2 * bytes) : undefined;
  }
  const sum = new Uint8Array(bytes);
  let carry = 0;
  for (let i = 0; i < bytes; i++) {
    carry += old[i]! + data[i]!;
    sum[i] = carry & 0xff;
    carry >>= 8;
  }
  return sum;
}
