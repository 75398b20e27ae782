/** What commands print on stdout. */
import { writeFileSync } from 'node:fs';
import { EXIT, Exit } from './exit.ts';

const STDOUT = 1;

/** Left-aligned columns, two spaces between; nothing for no rows. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Prints the value as JSON, or else the text. */
export function print(json: boolean | undefined, value: unknown, text: () => string): void {
  const out = json === true ? JSON.stringify(value, bigintAsText, 2) : text();
  process.stdout.write(out === '' || out.endsWith('\n') ? out : `${out}\n`);
}

/** Addresses are text in JSON. */
function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}

/** Into a file; `-` is standard output. */
export function writeOutput(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path === '-' ? STDOUT : path, bytes);
  } catch (error) {
    throw new Exit(EXIT.failed, `cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

export function warn(text: string): void {
  process.stderr.write(`iommud: ${text}\n`);
}
