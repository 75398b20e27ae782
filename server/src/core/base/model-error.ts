import type { ErrorName } from './errno.ts';

/**
 * A command that is malformed or refused: thrown before anything has changed, caught once, in `rpc/`.
 * `code` is the contract; `message` says what was wrong, where, and what to do; `field` names the argument.
 */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly code: ErrorName;
  readonly field: string;

  constructor(code: ErrorName, message: string, field = '') {
    super(message);
    this.code = code;
    this.field = field;
  }
}

/** Our own bug: the machine that meets one is crashed with its seed and last trace. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(what);
}
