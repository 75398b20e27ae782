/** Where in a document something is, and how a refusal names it. */
import { ModelError } from '../../core/base/index.ts';

export type Path = readonly (string | number)[];

export interface Source {
  /** The document's value, of any form. */
  readonly value: unknown;
  /** `line 4`, or `functions[1].address` for a value that came without text. `key`: of the key itself, not of its value. */
  locate(path: Path, key?: boolean): string;
  /** The text of a scalar as it was written; undefined for a value that came without text. */
  written(path: Path): string | undefined;
}

/** `functions[1].address` */
export function pathText(path: Path): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

/** Refuses the document with `EINVAL`, naming the place. */
export function refuse(source: Source, path: Path, text: string, key = false): never {
  throw new ModelError('EINVAL', `${source.locate(path, key)}: ${text}`, pathText(path));
}

/** The error for text that is no document at all. */
export function notWellFormed(line: number, text: string): ModelError {
  return new ModelError('EINVAL', `line ${line}: ${text}`, 'topology');
}
