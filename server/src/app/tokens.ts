/** Who may do what: a token names the roles and the machines that it opens. */
import { createHash, timingSafeEqual } from 'node:crypto';

export const ROLES = ['host', 'device', 'memory', 'observer'] as const;
export type Role = (typeof ROLES)[number];

/** What a caller may do. */
export interface Grant {
  readonly roles: readonly Role[];
  /** Names of machines; `*` at the end stands for anything. */
  readonly machines: readonly string[];
}

export interface TokenRow extends Grant {
  readonly token: string;
}

export const EVERYTHING: Grant = { roles: ROLES, machines: ['*'] };

/** A signed token with many machines in it, and far less than a header may have. */
const TOKEN_CHARS_MAX = 4096;
/** RFC 6750 §2.1: what can stand in an Authorization header after `Bearer`. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

/**
 * Reads `{ "<token>": { "roles": ["observer"], "machines": ["ci-*"] } }`, with every role and every machine where nothing is
 * said. Throws Error; no message holds a token.
 */
export function tokenRows(json: unknown): readonly TokenRow[] {
  if (!isRecord(json)) throw new Error('not a JSON object of tokens');
  return Object.entries(json).map(([token, limits], index) => {
    const where = `token ${index + 1}`;
    if (!TOKEN.test(token) || token.length > TOKEN_CHARS_MAX) {
      throw new Error(`${where} has characters that an Authorization header cannot carry, or more than ${TOKEN_CHARS_MAX}`);
    }
    if (!isRecord(limits)) throw new Error(`${where} needs an object like {"roles": ["host"], "machines": ["ci-*"]}`);
    const unknown = Object.keys(limits).find((key) => key !== 'roles' && key !== 'machines');
    if (unknown !== undefined) throw new Error(`${where} has an unknown field '${unknown}'; it may have roles and machines`);
    return { token, roles: roles(limits['roles'], where), machines: machines(limits['machines'], where) };
  });
}

function roles(value: unknown, where: string): readonly Role[] {
  if (value === undefined) return ROLES;
  const known = Array.isArray(value) ? ROLES.filter((role) => value.includes(role)) : [];
  if (known.length === 0 || known.length !== (value as unknown[]).length) {
    throw new Error(`${where}: roles is a list of ${ROLES.join(', ')}, at least one and each once`);
  }
  return known;
}

function machines(value: unknown, where: string): readonly string[] {
  if (value === undefined) return EVERYTHING.machines;
  if (!Array.isArray(value) || value.length === 0 || !value.every((name) => typeof name === 'string' && name !== '')) {
    throw new Error(`${where}: machines is a list of names, at least one; ci-* is every name that begins with ci-`);
  }
  return value as string[];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether the grant opens the machine of this name or id. */
export function opens(grant: Grant, name: string, id: string): boolean {
  return grant.machines.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name || pattern === id,
  );
}

/** The tokens of the service. Kept as digests of one length, compared in constant time, and always all of them. */
export class Tokens {
  readonly #rows: readonly { readonly digest: Buffer; readonly grant: Grant }[];

  constructor(rows: readonly TokenRow[]) {
    this.#rows = rows.map(({ token, roles: granted, machines: names }) => ({
      digest: digest(token),
      grant: { roles: granted, machines: names },
    }));
  }

  /** No token is asked for. */
  get open(): boolean {
    return this.#rows.length === 0;
  }

  /** What the token opens; undefined for one that is not known. */
  grant(token: string): Grant | undefined {
    const given = digest(token);
    let found: Grant | undefined;
    for (const row of this.#rows) if (timingSafeEqual(row.digest, given)) found = row.grant;
    return found;
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
