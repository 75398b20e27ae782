/** Who is asking, and whether it may. */
import bearerAuth from '@fastify/bearer-auth';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Refusal } from './refusal.ts';
import { isLoopback } from './settings.ts';
import { EVERYTHING, opens, type Grant, type Role, type Tokens } from './tokens.ts';

/** What a route does: `read` is for hosts and observers, `change` for hosts. */
export type Need = 'read' | 'change';

const ROLES_FOR: Readonly<Record<Need, readonly Role[]>> = { read: ['host', 'observer'], change: ['host'] };

/** The grant of each request. Routes ask here; nothing hangs on the request itself. */
export class Access {
  readonly #tokens: Tokens;
  readonly #insecure: boolean;
  readonly #grants = new WeakMap<FastifyRequest, Grant>();

  constructor(tokens: Tokens, insecure: boolean) {
    this.#tokens = tokens;
    this.#insecure = insecure;
  }

  /**
   * Guards every route of this instance. A websocket upgrade without the header goes on: browsers cannot send one, and the first frame
   * must then carry the token.
   */
  async guard(app: FastifyInstance): Promise<void> {
    app.addHook('onRequest', async (request) => this.#refuseForeignPages(request));
    if (this.#tokens.open) return;
    await app.register(bearerAuth, {
      keys: [],
      auth: (token, request) => this.#admit(token, request),
      addHook: false,
      verifyErrorLogLevel: 'info',
    });
    app.addHook('onRequest', (request, reply, done) => {
      if (request.ws && request.headers.authorization === undefined) done();
      else app.verifyBearerAuth?.(request, reply, done);
    });
  }

  /** What the request's token opens; undefined for an upgrade whose token is to come in the first frame. */
  grantOf(request: FastifyRequest): Grant | undefined {
    return this.#tokens.open ? EVERYTHING : this.#grants.get(request);
  }

  /** What a token of the first frame opens. */
  grantOfToken(token: string): Grant | undefined {
    return this.#tokens.open ? EVERYTHING : this.#tokens.grant(token);
  }

  /** Who asks, for scopes that are not shared between callers. */
  callerOf(request: FastifyRequest): string {
    return this.#tokens.open ? '' : (request.headers.authorization ?? '');
  }

  /** The request's grant, when one of its roles may do this; else `EPERM`. */
  require(request: FastifyRequest, need: Need): Grant {
    const grant = this.grantOf(request);
    const roles = ROLES_FOR[need];
    if (grant?.roles.some((role) => roles.includes(role)) === true) return grant;
    throw new Refusal('EPERM', `this needs a token with the role ${roles.join(' or ')}`, 'authorization');
  }

  #admit(token: string, request: FastifyRequest): boolean {
    const grant = this.#tokens.grant(token);
    if (grant === undefined) return false;
    this.#grants.set(request, grant);
    return true;
  }

  /** Where no token protects it, a page from somewhere else must not drive the service through its reader's browser. */
  #refuseForeignPages(request: FastifyRequest): void {
    const { origin } = request.headers;
    if (origin === undefined || this.#insecure || !this.#tokens.open) return;
    const host = URL.canParse(origin) ? new URL(origin).hostname.replace(/^\[|\]$/g, '') : '';
    if (isLoopback(host)) return;
    throw new Refusal('EPERM', `a page from ${origin} may not use a service without a token; set IOMMUD_TOKEN`, 'origin');
  }
}

/** `EPERM` unless the grant opens a machine of this name. */
export function requireName(grant: Grant, name: string | undefined): void {
  if (grant.machines.includes('*') || (name !== undefined && opens(grant, name, name))) return;
  throw new Refusal('EPERM', `this token opens only machines named ${grant.machines.join(', ')}; give the machine such a name`, 'name');
}
