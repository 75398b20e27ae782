/**
 * The one table of error codes: names and numbers are Linux's (`include/uapi/asm-generic/errno.h`).
 * A code is the contract, its text is not. `rpc/errors.ts` holds this table and the proto enum together at compile time.
 */
export const ERRORS = {
  EPERM: { wire: 1, means: 'the role or token does not allow this' },
  ENOENT: { wire: 2, means: 'no such object' },
  EIO: { wire: 5, means: 'the access reached its target and failed there' },
  EAGAIN: { wire: 11, means: 'another caller holds what this needs; try again' },
  ENOMEM: { wire: 12, means: 'a limit of the machine is used up' },
  EFAULT: { wire: 14, means: 'an address is outside every memory range' },
  EBUSY: { wire: 16, means: 'in use, or a reset window is open' },
  EEXIST: { wire: 17, means: 'already there' },
  ENODEV: { wire: 19, means: 'no such machine or function' },
  EINVAL: { wire: 22, means: 'an argument is missing, unknown or malformed' },
  ENOTTY: { wire: 25, means: 'no such reset method; the next one may do' },
  ENOSPC: { wire: 28, means: 'no room left' },
  ENOSYS: { wire: 38, means: 'unknown call' },
  EPROTO: { wire: 71, means: 'the peer broke the protocol' },
  EOVERFLOW: { wire: 75, means: 'the range goes beyond 64 bits' },
  EMSGSIZE: { wire: 90, means: 'there is more than the caller has room for' },
  EOPNOTSUPP: { wire: 95, means: 'this object cannot do that' },
  EADDRINUSE: { wire: 98, means: 'the range overlaps one that is mapped or owned' },
  ECONNRESET: { wire: 104, means: 'the connection broke; the outcome is unknown' },
  ESHUTDOWN: { wire: 108, means: 'the service is stopping' },
  ETIMEDOUT: { wire: 110, means: 'a deadline passed' },
  ECANCELED: { wire: 125, means: 'the caller or a reset cancelled it' },
} as const;

export type ErrorName = keyof typeof ERRORS;

/**
 * An errno as Linux returns it from a function: 0, or the negative number of a row of {@link ERRORS}.
 * Refusals that the kernel would make are returned as this; they are answers, not exceptions.
 */
export type Errno = number;

export const OK: Errno = 0;

const NAMES = new Map<number, ErrorName>(Object.entries(ERRORS).map(([name, row]) => [row.wire, name as ErrorName]));

/** The negative number of a code, as a Linux function returns it. */
export function errno(name: ErrorName): Errno {
  return -ERRORS[name].wire;
}

/** The name of a returned errno (negative or positive); `EIO` for a number that is not in the table. */
export function errorName(code: Errno): ErrorName {
  return NAMES.get(Math.abs(code)) ?? 'EIO';
}
