/** Files that commands read. */
import { readFileSync } from 'node:fs';
import { EXIT, Exit } from './exit.ts';

const STDIN = 0;

/** A file's text; `-` is standard input. */
export function readInput(path: string): string {
  return Buffer.from(readBytes(path)).toString();
}

export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path === '-' ? STDIN : path);
  } catch (error) {
    throw new Exit(EXIT.usage, `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
