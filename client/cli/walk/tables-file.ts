/**
 * A file of page tables with what is known about them: `fmt` and `info` say which format and root, `tables` every page of them, `lookups`
 * what some addresses translate to. JSON; addresses and entries are hexadecimal text, the other numbers of `info` decimal text.
 */
import type { Format, Granule, TableMemory } from '../../../server/src/core/translation/index.ts';

/** What a walk needs of the server's code, loaded when there is one. */
export type TranslationRoom = typeof import('../../../server/src/core/translation/index.ts');

export interface TablesFile {
  readonly format: Format;
  /** Physical address of the table that a walk begins with. */
  readonly root: bigint;
  readonly memory: TableMemory;
  /** An IOVA, and the physical address or 0. */
  readonly lookups: readonly (readonly [bigint, bigint])[];
}

/** What is wrong with a tables file, and where in it. */
export class TablesFileError extends Error {
  override readonly name = 'TablesFileError';
}

const HEX = /^(0x)?[0-9a-f]{1,16}$/;
const PAGE_BYTES = 4096n;
const ENTRY_BYTES = 8n;
const PHYSICAL_BITS = 56n;
const TOP_LEVELS_X86 = [3, 4];
const TOP_LEVELS_VTD = [2, 3, 4];
const TOP_LEVELS_RISCV = [2, 3, 4];
const TOP_LEVELS_AMD = [0, 1, 2, 3, 4, 5];

/** Throws {@link TablesFileError}. */
export function parseTablesFile(text: string, room: TranslationRoom): TablesFile {
  const file = objectAt(parsed(text), 'the file');
  const info = objectAt(file['info'], 'info');
  const format = formatOf(room, textAt(file['fmt'], 'fmt'), info);
  const root = physicalAt(info['root'], 'info.root');
  const memory = new FileMemory(listAt(file['tables'], 'tables'), pagesOfTables(room, format, root));
  const lookups = listAt(file['lookups'] ?? [], 'lookups').map((pair, i) => {
    const [iova, address] = listAt(pair, `lookups[${i}]`);
    return [hexAt(iova, `lookups[${i}][0]`), hexAt(address, `lookups[${i}][1]`)] as const;
  });
  return { format, root, memory, lookups };
}

function formatOf(room: TranslationRoom, name: string, info: Readonly<Record<string, unknown>>): Format {
  const top = (allowed: readonly number[]): number => {
    const level = decimalAt(info['top_level'], 'info.top_level');
    if (!allowed.includes(level)) throw new TablesFileError(`info.top_level ${level}: ${name} has ${allowed.join(', ')}`);
    return level + 1;
  };
  const named = (formatName: string): Format => {
    const format = room.formatNamed(formatName);
    if (format === undefined) throw new TablesFileError(`fmt "${name}" would be ${formatName}, which is no format`);
    return format;
  };
  switch (name) {
    case 'x86_64':
      return named(top(TOP_LEVELS_X86) === 4 ? 'x86-64' : 'x86-64-5level');
    case 'vtdss':
      return named(`vtd-second-stage-${top(TOP_LEVELS_VTD)}level`);
    case 'amdv1':
      return named(`amd-v1-${top(TOP_LEVELS_AMD)}level`);
    case 'riscv_64':
      return named(`riscv-sv${12 + 9 * top(TOP_LEVELS_RISCV)}`);
    case 'lpae_s1':
    case 'lpae_s2':
      return armFormat(room, name === 'lpae_s1' ? 1 : 2, info);
    default:
      throw new TablesFileError(`fmt "${name}" is none of x86_64, vtdss, amdv1, riscv_64, lpae_s1, lpae_s2`);
  }
}

function armFormat(room: TranslationRoom, stage: 1 | 2, info: Readonly<Record<string, unknown>>): Format {
  const granule = decimalAt(info['gran'], 'info.gran');
  if (granule !== 12 && granule !== 14 && granule !== 16) throw new TablesFileError(`info.gran ${granule} is none of 12, 14, 16`);
  const startLevel = decimalAt(info['start_level'], 'info.start_level');
  const inputBits = granule + (3 - startLevel) * (granule - 3) + decimalAt(info['top_bits'], 'info.top_bits');
  try {
    return room.lpae({ stage, granule: granule satisfies Granule, inputBits, outputBits: decimalAt(info['oas'], 'info.oas'), startLevel });
  } catch (error) {
    if (error instanceof RangeError) throw new TablesFileError(`info: ${error.message}`, { cause: error });
    throw error;
  }
}

/** 4 KiB pages of the table at an address: a granule, but for the root. */
function pagesOfTables(room: TranslationRoom, format: Format, root: bigint): (address: bigint) => number {
  const granule = 2 ** (format.spanLg2[0] ?? 0);
  return (address) => (address === root ? room.rootPages(format) : granule);
}

/** The tables of a file. What is in none of them is no memory. */
class FileMemory implements TableMemory {
  low = 0;
  high = 0;
  readonly #pages = new Set<number>();
  readonly #entries = new Map<number, bigint>();

  constructor(tables: readonly unknown[], pagesOf: (address: bigint) => number) {
    for (const [i, raw] of tables.entries()) {
      const table = objectAt(raw, `tables[${i}]`);
      const at = physicalAt(table['phys'], `tables[${i}].phys`);
      const entries = listAt(table['e'], `tables[${i}].e`);
      const pages = pagesOf(at);
      for (let page = 0; page < pages; page++) this.#pages.add(Number(at / PAGE_BYTES) + page);
      for (const [j, pair] of entries.entries()) {
        const [index, value] = listAt(pair, `tables[${i}].e[${j}]`);
        const address = at + hexAt(index, `tables[${i}].e[${j}][0]`) * ENTRY_BYTES;
        if (!this.#pages.has(Number(address / PAGE_BYTES))) throw new TablesFileError(`tables[${i}].e[${j}][0] is beyond the table`);
        this.#entries.set(Number(address / ENTRY_BYTES), hexAt(value, `tables[${i}].e[${j}][1]`));
      }
    }
  }

  load(page: number, offset: number): boolean {
    if (!this.#pages.has(page)) return false;
    const entry = this.#entries.get(page * 512 + offset / 8) ?? 0n;
    this.low = Number(BigInt.asIntN(32, entry));
    this.high = Number(BigInt.asIntN(32, entry >> 32n));
    return true;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new TablesFileError(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function objectAt(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new TablesFileError(`${where} is ${value === undefined ? 'missing' : 'no object'}`);
}
function listAt(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[];
  throw new TablesFileError(`${where} is ${value === undefined ? 'missing' : 'no list'}`);
}
function textAt(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  throw new TablesFileError(`${where} is ${value === undefined ? 'missing' : 'no text'}`);
}
function hexAt(value: unknown, where: string): bigint {
  const text = textAt(value, where).toLowerCase();
  if (!HEX.test(text)) throw new TablesFileError(`${where} "${text}" is no hexadecimal number of at most 64 bits`);
  return BigInt(text.startsWith('0x') ? text : `0x${text}`);
}
/** A physical address of an entry. */
function physicalAt(value: unknown, where: string): bigint {
  const address = hexAt(value, where);
  if (address % ENTRY_BYTES === 0n && address >> PHYSICAL_BITS === 0n) return address;
  throw new TablesFileError(`${where} 0x${address.toString(16)} is no multiple of ${ENTRY_BYTES} below 2^${PHYSICAL_BITS}`);
}
function decimalAt(value: unknown, where: string): number {
  const text = textAt(value, where);
  if (!/^\d{1,4}$/.test(text)) throw new TablesFileError(`${where} "${text}" is no decimal number`);
  return Number(text);
}
