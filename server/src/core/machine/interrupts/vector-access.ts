/** The MSI-X Table and Pending Bit Array in a function's BARs: the machine's, whatever model or peer has the rest of the BAR. */
import type { FunctionState } from '../state.ts';

/** True where an access of a naturally aligned part of a QWORD is one of them. */
export function hasVectorsAt(fn: FunctionState, region: number, offset: number): boolean {
  return tableOffset(fn, region, offset) >= 0 || pendingOffset(fn, region, offset) >= 0;
}

/** Where {@link hasVectorsAt}: at most 4 bytes. */
export function readVectors(fn: FunctionState, region: number, offset: number, bytes: number): number {
  const at = tableOffset(fn, region, offset);
  const { vectors } = fn.interrupts;
  if (vectors === undefined) return 0;
  return at >= 0 ? vectors.readTable(at, bytes) : vectors.readPending(pendingOffset(fn, region, offset), bytes);
}

/** Where {@link hasVectorsAt}: at most 4 bytes. The Pending Bit Array is read-only. */
export function writeVectors(fn: FunctionState, region: number, offset: number, bytes: number, value: number): void {
  const at = tableOffset(fn, region, offset);
  if (at >= 0) fn.interrupts.vectors?.writeTable(at, bytes, value);
}

function tableOffset({ config: { msix }, interrupts: { vectors } }: FunctionState, region: number, offset: number): number {
  if (msix === undefined || vectors === undefined || msix.tableBar !== region) return -1;
  const at = offset - msix.tableOffset;
  return at < vectors.tableBytes ? at : -1;
}

function pendingOffset({ config: { msix }, interrupts: { vectors } }: FunctionState, region: number, offset: number): number {
  if (msix === undefined || vectors === undefined || msix.pendingBar !== region) return -1;
  const at = offset - msix.pendingOffset;
  return at < vectors.pendingBytes ? at : -1;
}
