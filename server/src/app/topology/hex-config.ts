/** Configuration space in a document: pairs of hex digits, in rows that may begin with their offset as `lspci -xxxx` prints them. */
import { hex } from '../../core/base/index.ts';
import { CONFIG_SIZES } from '../../core/pci/index.ts';

/** The bytes, or a sentence that says what is wrong. */
export function readHexConfig(text: string): Uint8Array | string {
  const bytes: number[] = [];
  for (const token of text.split(/\s+/)) {
    if (token === '') continue;
    if (/^[0-9a-f]{2,3}:$/i.test(token)) {
      const offset = Number.parseInt(token, 16);
      if (offset !== bytes.length) return `config has row ${hex(offset)} where ${hex(bytes.length)} is next`;
      continue;
    }
    if (!/^[0-9a-f]{2}$/i.test(token)) return `config has "${token.slice(0, 20)}", which is not a byte in hex`;
    bytes.push(Number.parseInt(token, 16));
    if (bytes.length > 4096) return 'config has more than 4096 bytes';
  }
  if (!CONFIG_SIZES.includes(bytes.length)) return `config has ${bytes.length} bytes; it must be 64, 256 or 4096`;
  return Uint8Array.from(bytes);
}
