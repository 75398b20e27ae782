/**
 * The text of `lspci -x`, `-xxx` and `-xxxx`, with or without `-v` text in between, in and out. The format is that of pciutils
 * `lib/dump.c`, which `lspci -F` reads: a line that begins with an address begins a function, lines of hex follow, a blank line ends it.
 */
import { ModelError, formatBdf, hex, hexDigits, parseBdf, segmentOf, type Bdf } from '../base/index.ts';
import { CONFIG_SIZES } from './config-access.ts';
import { HEADER, HEADER_TYPE } from './header.ts';
import { readRegionSize } from './lspci-region.ts';

export interface LspciFunction {
  readonly bdf: Bdf;
  /** The rest of the function's first line. */
  readonly label: string;
  /** 64, 128 (CardBus bridge), 256 or 4096 bytes. */
  readonly config: Uint8Array;
  /** Sizes in bytes that `-v` text tells, by BAR index, 6 the ROM; 0 where it tells none. */
  readonly barBytes: readonly bigint[];
  /** Number of the function's first line, from 1. */
  readonly line: number;
}

export interface LspciDump {
  /** In the order of the text. */
  readonly functions: readonly LspciFunction[];
  readonly warnings: readonly string[];
}

/** 16 MiB of text: more than a thousand functions with all of their 4096 bytes, and read in a fraction of a second. */
export const LSPCI_CHARACTERS_MAX = 1 << 24;
/** Lines that are skipped are named up to here. */
const SKIPPED_MAX = 8;
const ROW_BYTES = 16;
const SPACE_BYTES = 4096;
/** What pciutils reads of a line. */
const LINE_BYTES_MAX = 253;

const ADDRESS = /^(?:([0-9a-f]{4,8}):)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?=\s|$)/i;
const ROW = /^([0-9a-f]{2,3}): /i;
/** What is meant as a row, whether it is one or not. */
const LIKE_ROW = /^\s*([0-9a-f]{2,4}):\s/i;
const LONGEST_ADDRESS = 17;

interface Open {
  readonly bdf: Bdf;
  readonly label: string;
  readonly line: number;
  readonly bytes: Uint8Array;
  length: number;
  readonly barBytes: bigint[];
}

/** Reads a dump. What it cannot be is `EINVAL` with the number of the line. */
export function parseLspci(text: string): LspciDump {
  if (text.length > LSPCI_CHARACTERS_MAX) {
    throw new ModelError('EINVAL', `${text.length} characters are more than the ${LSPCI_CHARACTERS_MAX} that a dump may have`, 'lspci');
  }
  const reader = new DumpReader();
  let line = 0;
  // Editors put a byte order mark there.
  for (let start = text.startsWith('\uFEFF') ? 1 : 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    line += 1;
    reader.read(text.slice(start, end > start && text[end - 1] === '\r' ? end - 1 : end), line);
    start = end + 1;
  }
  return reader.finish();
}

class DumpReader {
  readonly #functions: LspciFunction[] = [];
  readonly #lineOf = new Map<Bdf, number>();
  readonly #warnings: string[] = [];
  #open: Open | undefined;
  /** The line of a function that is left out, while its lines are read. */
  #leftOut = 0;
  #firstLeftOut = 0;
  #skipped = 0;
  #lastSkipped = '';
  #firstText: { readonly line: number; readonly text: string } | undefined;

  read(text: string, line: number): void {
    if (text.trim() === '') {
      this.#close();
      return;
    }
    this.#firstText ??= { line, text };
    const address = ADDRESS.exec(text.slice(0, LONGEST_ADDRESS + 1));
    if (address === null && this.#leftOut > 0) return;
    if (address !== null) this.#begin(address, text, line);
    else if (ROW.test(text.slice(0, 5))) this.#row(text, line);
    else if (this.#open === undefined) this.#skip(text, line);
    else this.#text(text, line, this.#open);
  }

  /** A line of a function that is no row: verbose text, which is indented. */
  #text(text: string, line: number, open: Open): void {
    const offset = LIKE_ROW.exec(text)?.[1];
    if (offset !== undefined && Number.parseInt(offset, 16) >= SPACE_BYTES) {
      throw new ModelError(
        'EINVAL',
        `line ${line}: row ${offset} of ${formatBdf(open.bdf)}; a function has at most ${SPACE_BYTES} bytes`,
        'lspci',
      );
    }
    if (offset !== undefined || !/^\s/.test(text)) {
      throw new ModelError(
        'EINVAL',
        `line ${line}: neither a row of hex nor text of ${formatBdf(open.bdf)}: "${text.slice(0, 40)}"`,
        'lspci',
      );
    }
    readRegionSize(text, open.barBytes);
  }

  finish(): LspciDump {
    this.#close();
    if (this.#functions.length === 0 && this.#lineOf.size === 0 && this.#firstLeftOut > 0) {
      throw new ModelError('EINVAL', `line ${this.#firstLeftOut}: every domain is above ffff; a segment has 16 bits`, 'lspci');
    }
    if (this.#functions.length === 0) {
      const line = this.#lineOf.size > 0 ? Math.min(...this.#lineOf.values()) : (this.#firstText?.line ?? 1);
      const what =
        this.#lineOf.size > 0
          ? 'no function has a hex dump; take one with "lspci -xxxx" as root'
          : `not the output of "lspci -xxxx": ${this.#firstText === undefined ? 'the text is empty' : `"${this.#firstText.text.slice(0, 40)}"`}`;
      throw new ModelError('EINVAL', `line ${line}: ${what}`, 'lspci');
    }
    if (this.#skipped > SKIPPED_MAX) this.#warnings.push(`${this.#skipped - SKIPPED_MAX} more lines outside of a function were skipped`);
    return { functions: this.#functions, warnings: this.#warnings };
  }

  #begin(address: RegExpExecArray, text: string, line: number): void {
    this.#close();
    const place = address[0];
    if (address[1] !== undefined && Number.parseInt(address[1], 16) > 0xffff) {
      this.#warnings.push(`line ${line}: ${place} is left out: its domain is above ffff; a segment has 16 bits`);
      this.#leftOut = line;
      if (this.#firstLeftOut === 0) this.#firstLeftOut = line;
      return;
    }
    const at = parseBdf(place);
    if (at === undefined) throw new ModelError('EINVAL', `line ${line}: "${place}" is not the address of a function`, 'lspci');
    const before = this.#lineOf.get(at);
    if (before !== undefined) {
      throw new ModelError('EINVAL', `line ${line}: ${formatBdf(at)} is already on line ${before}; an address holds one function`, 'lspci');
    }
    this.#lineOf.set(at, line);
    const label = text.slice(place.length).trim();
    this.#open = { bdf: at, label, line, bytes: new Uint8Array(SPACE_BYTES), length: 0, barBytes: [0n, 0n, 0n, 0n, 0n, 0n, 0n] };
  }

  #row(text: string, line: number): void {
    const open = this.#open;
    if (open === undefined)
      throw new ModelError('EINVAL', `line ${line}: a row of hex that belongs to no function${this.#lastSkipped}`, 'lspci');
    const colon = text.indexOf(':');
    const offset = Number.parseInt(text.slice(0, colon), 16);
    if (offset !== open.length) {
      throw new ModelError(
        'EINVAL',
        `line ${line}: row ${hex(offset)} of ${formatBdf(open.bdf)} where ${hex(open.length)} is next`,
        'lspci',
      );
    }
    const row = text
      .slice(colon + 1)
      .trim()
      .split(' ');
    if (row.length !== ROW_BYTES) {
      throw new ModelError('EINVAL', `line ${line}: ${row.length} bytes in a row that has ${ROW_BYTES}`, 'lspci');
    }
    for (const [i, digits] of row.entries()) {
      if (!/^[0-9a-f]{2}$/i.test(digits)) {
        throw new ModelError('EINVAL', `line ${line}: "${digits.slice(0, 20)}" is not a byte in hex`, 'lspci');
      }
      open.bytes[open.length + i] = Number.parseInt(digits, 16);
    }
    open.length += ROW_BYTES;
  }

  #skip(text: string, line: number): void {
    this.#skipped += 1;
    this.#lastSkipped = `; line ${line} was skipped: "${text.trim().slice(0, 40)}"`;
    if (this.#skipped <= SKIPPED_MAX) this.#warnings.push(`line ${line}: skipped, outside of a function: "${text.trim().slice(0, 40)}"`);
  }

  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    this.#leftOut = 0;
    if (open === undefined) return;
    const name = formatBdf(open.bdf);
    if (open.length === 0) {
      this.#warnings.push(`line ${open.line}: ${name} has no hex dump and is left out`);
      return;
    }
    const cardbus = (open.bytes[HEADER.headerType]! & 0x7f) === HEADER_TYPE.cardbus;
    if (!CONFIG_SIZES.includes(open.length) || (open.length === 128 && !cardbus)) {
      const sizes = cardbus ? '64, 128, 256 or 4096' : '64, 256 or 4096';
      throw new ModelError(
        'EINVAL',
        `line ${open.line}: ${name} has ${open.length} bytes of configuration space; it must be ${sizes}`,
        'lspci',
      );
    }
    const config = open.bytes.slice(0, open.length);
    if (config.every((byte) => byte === 0xff)) this.#warnings.push(`line ${open.line}: ${name} reads all ones; it did not answer`);
    this.#functions.push({ bdf: open.bdf, label: open.label, config, barBytes: open.barBytes, line: open.line });
  }
}

/** How much of configuration space to print: nothing, 64 bytes (128 of a CardBus bridge), 256, or all. */
export type LspciHex = 'none' | 'x' | 'xxx' | 'xxxx';

/** Text that `lspci -F` reads. The segment is printed when `domains` asks for it or a function has one that is not 0. */
export function formatLspci(
  functions: readonly { readonly bdf: Bdf; readonly label: string; readonly config: Uint8Array }[],
  options: { readonly hex: LspciHex; readonly domains?: boolean },
): string {
  const domains = options.domains === true || functions.some((fn) => segmentOf(fn.bdf) !== 0);
  const lines: string[] = [];
  for (const fn of functions) {
    const short = formatBdf(fn.bdf);
    lines.push(fitted(`${domains && segmentOf(fn.bdf) === 0 ? '0000:' : ''}${short} ${labelOf(fn)}`));
    const bytes = shownBytes(fn.config, options.hex);
    for (let row = 0; row < bytes; row += ROW_BYTES) {
      const digits = Array.from(fn.config.subarray(row, row + ROW_BYTES), (byte) => hexDigits(byte, 2));
      lines.push(`${hexDigits(row, 2)}: ${digits.join(' ')}`);
    }
    if (options.hex !== 'none') lines.push('');
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function shownBytes(config: Uint8Array, shown: LspciHex): number {
  const header = (config[HEADER.headerType]! & 0x7f) === HEADER_TYPE.cardbus ? 128 : 64;
  const most = { none: 0, x: header, xxx: 256, xxxx: SPACE_BYTES }[shown];
  return Math.min(config.length, most);
}

/** The line, cut between characters to the UTF-8 bytes that `lspci -F` reads of one; it refuses a file with a longer line. */
function fitted(line: string): string {
  let bytes = 0;
  let end = 0;
  for (const character of line) {
    const code = character.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > LINE_BYTES_MAX) return line.slice(0, end);
    end += character.length;
  }
  return line;
}

/** A label on one line, without the control characters at which `lspci -F` stops; without a label, what `lspci -n` prints. */
function labelOf(fn: { readonly label: string; readonly config: Uint8Array }): string {
  const label = fn.label.replaceAll(/[\s\p{Cc}]/gu, ' ').trim();
  if (label !== '') return label;
  const view = new DataView(fn.config.buffer, fn.config.byteOffset, fn.config.byteLength);
  const ids = `${hexDigits(view.getUint16(HEADER.vendor, true), 4)}:${hexDigits(view.getUint16(HEADER.device, true), 4)}`;
  const revision = view.getUint8(HEADER.revision);
  return `${hexDigits(view.getUint16(HEADER.classCode + 1, true), 4)}: ${ids}${revision === 0 ? '' : ` (rev ${hexDigits(revision, 2)})`}`;
}
