/** Errors on their way out through HTTP: one table from code to status, one body. */
import { ERRORS, ModelError, type ErrorName } from '../core/base/index.ts';

/** The status of each code. What HTTP itself refuses (no token, too long, wrong type) gives its own in {@link Refusal}. */
export const STATUS: Readonly<Record<ErrorName, number>> = {
  EPERM: 403,
  ENOENT: 404,
  EIO: 502,
  EAGAIN: 409,
  ENOMEM: 507,
  EFAULT: 400,
  EBUSY: 409,
  EEXIST: 409,
  ENODEV: 404,
  EINVAL: 400,
  ENOTTY: 422,
  ENOSPC: 507,
  ENOSYS: 404,
  EPROTO: 400,
  EOVERFLOW: 400,
  EMSGSIZE: 400,
  EOPNOTSUPP: 422,
  EADDRINUSE: 409,
  ECONNRESET: 502,
  ESHUTDOWN: 503,
  ETIMEDOUT: 504,
  ECANCELED: 409,
};

/** The body of every answer that is no success. */
export interface ErrorBody {
  readonly code: ErrorName;
  readonly errno: number;
  readonly message: string;
  /** The field, header or address that it is about; may be empty. */
  readonly about: string;
}

/** An answer that is no success. `status` is the table's unless HTTP has a better one. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: ErrorName;
  readonly about: string;
  readonly status: number;

  constructor(code: ErrorName, message: string, about = '', status: number = STATUS[code]) {
    super(message);
    this.code = code;
    this.about = about;
    this.status = status;
  }

  get body(): ErrorBody {
    return { code: this.code, errno: ERRORS[this.code].wire, message: this.message, about: this.about };
  }
}

/** What Fastify and its plugins throw, as far as it is used here. */
interface HttpError {
  readonly statusCode?: number;
  readonly message?: string;
  readonly validationContext?: string;
  readonly validation?: readonly ValidationProblem[];
}
interface ValidationProblem {
  readonly instancePath: string;
  readonly keyword: string;
  readonly message?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Whatever was thrown, as a refusal; undefined for what is our own bug. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof ModelError) return new Refusal(error.code, error.message, error.field);
  const { statusCode, message, validation, validationContext } = (error ?? {}) as HttpError;
  const problem = validation?.[0];
  if (problem !== undefined) return invalid(problem, validationContext ?? 'body');
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return undefined;
  const text = message ?? 'refused';
  if (statusCode === 401) return new Refusal('EPERM', `${text}; send the header 'Authorization: Bearer TOKEN'`, 'authorization', 401);
  if (statusCode === 413) return new Refusal('EINVAL', `${text}; IOMMUD_BODY_BYTES_MAX is the limit`, 'body', 413);
  return new Refusal('EINVAL', text, statusCode === 415 ? 'content-type' : 'body', statusCode);
}

function invalid(problem: ValidationProblem, context: string): Refusal {
  const { missingProperty, additionalProperty, allowedValues } = problem.params;
  const path = problem.instancePath.split('/').filter((part) => part !== '');
  if (typeof missingProperty === 'string') path.push(missingProperty);
  if (typeof additionalProperty === 'string') path.push(additionalProperty);
  const about = path.join('.');
  const where = about === '' ? `the ${context}` : about;
  if (missingProperty !== undefined) return new Refusal('EINVAL', `${where} is missing`, about);
  if (additionalProperty !== undefined) return new Refusal('EINVAL', `${where} is not a field here`, about);
  const allowed = Array.isArray(allowedValues) ? `: ${allowedValues.join(', ')}` : '';
  return new Refusal('EINVAL', `${where} ${problem.message ?? problem.keyword}${allowed}`, about);
}
