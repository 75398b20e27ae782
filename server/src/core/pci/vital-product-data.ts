/**
 * Vital Product Data (PCIe Base r6.0 §6.27, §7.9.18): a small memory of the function's that is reached through an address, a flag and a data register. What it
 * holds outlives every reset and the loss of power.
 */
import { CAPABILITY } from './capability-table.ts';
import type { ConfigSpace } from './config-space.ts';

const ADDRESS = 2;
const DATA = 4;
/** Bit 15 of the address register: written as one it asks for a write, as zero for a read; it changes when that is done. */
const FLAG = 0x8000;
const WORD_BYTES = 4;
/** Resource data types (§6.27.2): large ones have two bytes of length behind their tag, small ones three bits of it in the tag. */
const TAG = { large: 0x80, writable: 0x91, end: 0x78, endMask: 0x78 } as const;

/** The address register reaches so far. */
export const VPD_BYTES_MAX = 0x8000;

function vpdAt(config: ConfigSpace): number {
  return config.capabilities.find((one) => !one.extended && one.id === CAPABILITY.vpd)?.offset ?? -1;
}

/** Whether a write of these bytes has the flag in it, and so asks for an access. */
export function asksForVpd(config: ConfigSpace, offset: number, bytes: number): boolean {
  const flag = vpdAt(config) + ADDRESS + 1;
  return flag > ADDRESS && offset <= flag && offset + bytes > flag;
}

/** Does the access that the registers ask for. Bytes beyond the end read as zero; what is not in the writable resource is not written. */
export function accessVpd(config: ConfigSpace, memory: Uint8Array): void {
  const at = vpdAt(config);
  const register = config.read(at + ADDRESS, 2);
  const address = register & ~FLAG & ~(WORD_BYTES - 1);
  if ((register & FLAG) === 0) {
    let word = 0;
    for (let i = 0; i < WORD_BYTES; i++) word |= (memory[address + i] ?? 0) << (8 * i);
    config.put(at + DATA, 4, word);
  } else {
    const word = config.read(at + DATA, 4);
    for (let i = 0; i < WORD_BYTES; i++) if (isWritable(memory, address + i)) memory[address + i] = (word >>> (8 * i)) & 0xff;
  }
  config.put(at + ADDRESS, 2, register ^ FLAG);
}

/** In VPD-W. */
function isWritable(memory: Uint8Array, address: number): boolean {
  for (let at = 0; at < memory.length;) {
    const tag = memory[at]!;
    if ((tag & TAG.large) === 0) {
      if ((tag & TAG.endMask) === TAG.end) return false;
      at += 1 + (tag & 7);
      continue;
    }
    const first = at + 3;
    const end = first + ((memory[at + 1] ?? 0) | ((memory[at + 2] ?? 0) << 8));
    if (address >= first && address < end) return tag === TAG.writable && address < memory.length;
    at = end;
  }
  return false;
}
