import { iommud } from '../../proto/index.ts';

type WireName = keyof typeof iommud.v1.ErrorCode;
/** A code's name, `EBUSY`: the contract. The page docs/errors.md says what each means. */
export type ErrorCode = Exclude<WireName extends `ERROR_CODE_${infer Name}` ? Name : never, 'UNSPECIFIED'>;

const PREFIX = 'ERROR_CODE_';

/** What went wrong, before it is thrown: a plain value, so that the error is made where the caller waits and its stack is the caller's. */
export interface Failure {
  readonly failed: true;
  readonly code: ErrorCode;
  readonly message: string;
  /** The field, object or address that it is about; may be empty. */
  readonly about: string;
  /** How far the machine's clock moved before the answer came, nanoseconds. */
  readonly elapsedNs: number;
  readonly cause: unknown;
}

/** Every error that this client makes. */
export class IommudError extends Error {
  override readonly name = 'IommudError';
  readonly code: ErrorCode;
  /** Linux's number of the code, positive. */
  readonly errno: number;
  /** The field, object or address that it is about; may be empty. */
  readonly about: string;
  /** How far the machine's clock moved before the answer came, nanoseconds. */
  readonly elapsedNs: number;

  constructor({ code, message, about = '', elapsedNs = 0, cause }: Pick<Failure, 'code' | 'message'> & Partial<Failure>) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.errno = errnoOf(code);
    this.about = about;
    this.elapsedNs = elapsedNs;
  }
}

/** Whether a call was given up by its signal: what it did is unknown. */
export function isCancelled(error: unknown): boolean {
  return error instanceof IommudError && error.code === 'ECANCELED';
}

export function failure(code: ErrorCode, message: string, about = '', cause?: unknown): Failure {
  return { failed: true, code, message, about, elapsedNs: 0, cause };
}

/** An argument that cannot be sent: `EINVAL` naming it. */
export function invalid(about: string, message: string): IommudError {
  return new IommudError({ code: 'EINVAL', message: `${about}: ${message}`, about });
}

export function errnoOf(code: ErrorCode): number {
  return iommud.v1.ErrorCode[`${PREFIX}${code}`];
}

/** The code with this number. A number that this client does not know becomes `EIO`, and the name that came with it is in the message. */
export function codeOf(errno: number): ErrorCode {
  const name = iommud.v1.ErrorCode[errno];
  return name === undefined || errno === 0 ? 'EIO' : (name.slice(PREFIX.length) as ErrorCode);
}

/** What a thrown value says. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
