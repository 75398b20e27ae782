import { PHYSICAL_BITS, hex } from '../../core/base/index.ts';
import { refuse, type Path, type Source } from './place.ts';
import { readAddress, readSize } from './quantities.ts';

const PAGE_BYTES = 4096n;

/** A physical range of whole pages, as documents write one. `what` begins the refusals that are about all of it: `memory`. */
export function readRange(
  source: Source,
  path: Path,
  range: { readonly address: string; readonly size: string },
  what: string,
): { readonly address: bigint; readonly bytes: bigint } {
  const address = readAddress(range.address);
  const bytes = readSize(range.size);
  if (address === undefined) refuse(source, [...path, 'address'], `"${range.address}" is not an address; write it as "0x40000000"`);
  if (bytes === undefined) refuse(source, [...path, 'size'], `"${range.size}" is not a size; write it as "1GiB" or "0x40000000"`);
  if (bytes === 0n) refuse(source, [...path, 'size'], `a range of ${what} has at least 4 KiB`);
  if (address % PAGE_BYTES !== 0n) refuse(source, [...path, 'address'], `${range.address} is not a multiple of 4 KiB`);
  if (bytes % PAGE_BYTES !== 0n) refuse(source, [...path, 'size'], `${range.size} is not a multiple of 4 KiB`);
  const last = address + bytes - 1n;
  if (last >> BigInt(PHYSICAL_BITS) !== 0n) refuse(source, path, `${what} up to ${hex(last)} is wider than ${PHYSICAL_BITS} bits`);
  return { address, bytes };
}
