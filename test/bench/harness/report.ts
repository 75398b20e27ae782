/** The result on screen and as a file. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Report, Row, Unit } from './measure.ts';

const COLUMNS = ['measure', 'value', 'floor', 'floor value', 'ratio', 'min … max', 'rounds', ''] as const;
const WIDTHS = [30, 12, 12, 12, 7, 15, 7, 0] as const;

export function tableHead(): string {
  return line(COLUMNS);
}

/** `spinners`: whether the cores were kept awake. */
export function tableLine(row: Row, spinners: boolean): string {
  const ratios = `${row.ratioMin.toFixed(2)} … ${row.ratioMax.toFixed(2)}`;
  const { name, value, unit, floor, floorValue, ratio, rounds } = row;
  return line([
    name,
    readable(value, unit),
    floor,
    readable(floorValue, unit),
    ratio.toFixed(3),
    ratios,
    String(rounds),
    spinners ? 'spinners' : '',
  ]);
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join(' ')
    .trimEnd();
}

/** `23.1 µs`, `412 k/s`, `1.2 GB/s`: three digits and an SI prefix. */
export function readable(value: number, unit: Unit): string {
  const prefixes = ['n', 'µ', 'm', '', 'k', 'M', 'G', 'T'];
  const power = value === 0 ? 0 : Math.min(4, Math.max(-3, Math.floor(Math.log10(Math.abs(value)) / 3)));
  const digits = Number((value / 1000 ** power).toPrecision(3));
  const suffix = unit === '1/s' ? '/s' : unit;
  return `${digits} ${prefixes[power + 3] ?? ''}${suffix}`;
}

export function makeReport(rows: readonly Row[]): Report {
  const [first] = cpus();
  return { commit: commit(), cpu: `${first?.model.trim() ?? 'unknown'} × ${cpus().length}`, node: process.version, rows };
}

/** Throws, naming the file, when it cannot be written. */
export function writeReport(file: string, report: Report): void {
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

function commit(): string {
  try {
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
