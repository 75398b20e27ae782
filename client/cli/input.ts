/** Files that commands read. */
import { readFileSync } from 'node:fs';
import { EXIT, Exit } from './exit.ts';

const STDIN = 0;

/** A file's text; `-` is standard input. */
export function readInput(path: string): string {
  try {
    return readFileSync(path === '-' ? STDIN : path, 'utf8');
  } catch (error) {
    throw new Exit(EXIT.usage, `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
