import type { Format, WalkStep } from '../../../server/src/core/translation/index.ts';
import type { TablesFile, TranslationRoom } from './tables-file.ts';

export interface WalkedLevel {
  readonly level: string;
  readonly index: number;
  /** Physical address of the entry. */
  readonly at: bigint;
  readonly entry: bigint;
  readonly bits: readonly string[];
  /** `table`, `page`, or the name of the fault. */
  readonly is: string;
}

export interface Walked {
  readonly iova: bigint;
  readonly format: string;
  readonly levels: readonly WalkedLevel[];
  /** `performed`, or why the walk stopped. */
  readonly outcome: string;
  /** What the format's specification calls it. */
  readonly cause?: string;
  readonly address?: bigint;
  readonly pageBytes?: bigint;
  /** Rights of a request without supervisor privilege, and of one with it. */
  readonly access?: string;
  readonly privileged?: string;
}

const OFFSET = 4095n;
const RIGHTS = [
  [1, 'read'],
  [2, 'write'],
  [4, 'execute'],
] as const;

/** Walks the tables of a file as hardware would, and keeps every entry that it read. */
export function walkTables(file: TablesFile, iova: bigint, room: TranslationRoom): Walked {
  const { format, root, memory } = file;
  const walker = new room.RadixWalker(format, memory);
  const steps: WalkStep[] = [];
  const low = Number(BigInt.asIntN(32, iova >> 12n));
  const high = Number(BigInt.asUintN(20, iova >> 44n));
  const status = walker.walk(Number(root >> 12n), Number(root & OFFSET), low, high, steps);
  const outcome = nameOf(room, status);
  const levels = steps.map((step) => walkedLevel(room, format, step));
  if (outcome !== 'performed') {
    const cause = (format.causes as Readonly<Record<string, string>>)[outcome];
    return { iova, format: format.name, levels, outcome, ...(cause === undefined ? {} : { cause }) };
  }
  const page = BigInt(walker.foundHigh) * 2n ** 32n + BigInt(walker.foundLow >>> 0);
  return {
    iova,
    format: format.name,
    levels,
    outcome,
    address: (page << 12n) | (iova & OFFSET),
    pageBytes: 4096n << BigInt(walker.foundPagesLg2),
    access: rightsText(walker.foundAccess),
    privileged: rightsText(walker.foundPrivileged),
  };
}

function walkedLevel(room: TranslationRoom, format: Format, { level, index, page, offset, low, high, kind }: WalkStep): WalkedLevel {
  return {
    level: format.levelName(level),
    index,
    at: (BigInt(page) << 12n) | BigInt(offset),
    entry: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0),
    bits: format.bitNames(low, high, level),
    is: kind === room.KIND.table ? 'table' : kind === room.KIND.leaf ? 'page' : nameOf(room, kind),
  };
}

function nameOf(room: TranslationRoom, status: number): string {
  return Object.entries(room.STATUS).find(([, number]) => number === status)?.[0] ?? String(status);
}

function rightsText(access: number): string {
  const names = RIGHTS.filter(([bit]) => (access & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? 'none' : names.join(' ');
}

/** One line for each level, and what came of it. */
export function walkedText(walked: Walked): string {
  const lines = walked.levels.map(
    ({ level, index, at, entry, bits, is }) =>
      `${level.padEnd(8)} index ${String(index).padStart(4)}  at ${hex(at)}  entry 0x${entry.toString(16).padStart(16, '0')}  ${bits.join(' ')}${bits.length === 0 ? '' : '  '}-> ${is}`,
  );
  const head = `${walked.format}: ${hex(walked.iova)}`;
  if (walked.address === undefined || walked.pageBytes === undefined) {
    return [head, ...lines, `stops: ${walked.outcome}${walked.cause === undefined ? '' : ` (${walked.cause})`}`].join('\n');
  }
  const privileged = walked.privileged === walked.access ? '' : `, privileged ${walked.privileged}`;
  return [head, ...lines, `${hex(walked.address)}, a page of ${sizeText(walked.pageBytes)}, ${walked.access}${privileged}`].join('\n');
}

function sizeText(bytes: bigint): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = bytes / 1024n;
  let unit = 0;
  while (size % 1024n === 0n && unit < units.length - 1) {
    size /= 1024n;
    unit++;
  }
  return `${size} ${units[unit]}`;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
