import { CONTRACT_VERSION, type iommud } from '../../proto/index.ts';
import { ask } from './ask.ts';
import { Connection } from './connection.ts';
import { IommudError, failure, invalid, textOf, type Failure } from './errors.ts';
import { ROLE, type Role } from './names.ts';
import { bigintOf } from './numbers.ts';
import { NotConnected, type OpenSocket, type Socket } from './socket.ts';
import { PRODUCT, PRODUCT_VERSION } from './version.ts';
import { openWebSocket } from './web-socket.ts';
import { WireChannel } from './wire-channel.ts';

export interface HelloOptions {
  /** Credentials. */
  readonly token?: string | undefined;
  /** Wanted; `['host']` when absent. The connection's `granted` says which it has. */
  readonly roles?: readonly Role[];
  /** What connects, for the server's log: at most 64 characters each. */
  readonly product?: { readonly name: string; readonly version: string };
  /** Wanted features of the contract. */
  readonly features?: readonly string[];
  /** What the tokens of this connection's reset windows begin with; a random one when absent. Nobody else may use it on this machine. */
  readonly tokenPrefix?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface ConnectOptions extends HelloOptions {
  /** Until when there must be a connection, wall clock; 10 s when absent. */
  readonly deadlineMs?: number;
  /** False: tries once. A call is never tried again. */
  readonly retry?: boolean;
  /** How sockets are opened; the platform's websocket when absent. */
  readonly open?: OpenSocket;
}

const DEADLINE_MS = 10_000;
/** The longest that a timer takes: 24 days. */
const DEADLINE_MS_MAX = 0x7fff_ffff;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 1000;
/** Answers of a server, or of something in front of it, that is not there yet or has too much to do. */
const TRANSIENT_STATUS: readonly number[] = [0, 429, 502, 503, 504];

/**
 * Connects to a machine by its socket URL, trying again until there is a service. Errors: ETIMEDOUT (no connection until the deadline), ECONNRESET
 * (none at the only try), EPERM (token, roles), ENODEV (no such machine), EINVAL (a bad URL, another contract), ECANCELED.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Connection> {
  const { deadlineMs = DEADLINE_MS, retry = true, open = openWebSocket, signal: caller } = options;
  if (!(deadlineMs >= 0 && deadlineMs <= DEADLINE_MS_MAX)) {
    throw invalid('deadlineMs', `${deadlineMs} is not from 0 to ${DEADLINE_MS_MAX}`);
  }
  const deadline = AbortSignal.timeout(Math.ceil(deadlineMs));
  const signal = caller === undefined ? deadline : AbortSignal.any([caller, deadline]);
  for (let attempt = 0; ; attempt++) {
    try {
      const socket = await open(url, { token: options.token, signal });
      return await connectOver(socket, { ...options, signal });
    } catch (error) {
      if (caller?.aborted === true) throw new IommudError(failure('ECANCELED', `connecting to ${url} was cancelled`, '', caller.reason));
      if (deadline.aborted) throw new IommudError(failure('ETIMEDOUT', `no connection to ${url} within ${deadlineMs} ms`, url, error));
      if (!retry || !isTransient(error)) throw new IommudError(failureOf(error, url));
      await pause(Math.min(BACKOFF_FIRST_MS * 2 ** attempt, BACKOFF_MAX_MS), signal);
      if (signal.aborted) {
        const code = deadline.aborted ? 'ETIMEDOUT' : 'ECANCELED';
        throw new IommudError(failure(code, `no connection to ${url} within ${deadlineMs} ms: ${textOf(error)}`, url, error));
      }
    }
  }
}

/** The first exchange on a socket that is open. On an error the socket is closed. */
export async function connectOver(socket: Socket, options: HelloOptions = {}): Promise<Connection> {
  const channel = new WireChannel(socket);
  try {
    const { body } = await ask(channel, 'hello', helloOf(options), options);
    channel.start(grantedBy(body), body);
    return new Connection(channel, options.tokenPrefix);
  } catch (error) {
    void channel.close();
    throw error;
  }
}

function helloOf({ token, roles = ['host'], product, features = [] }: HelloOptions): iommud.v1.Hello.$Properties {
  return {
    product: product?.name ?? PRODUCT,
    productVersion: product?.version ?? PRODUCT_VERSION,
    contractVersion: CONTRACT_VERSION,
    roles: roles.map((role) => ROLE.numberOf(role, 'roles')),
    features: [...features],
    token: token ?? null,
  };
}

function grantedBy(body: iommud.v1.HelloReply): Connection['granted'] {
  return {
    roles: body.roles.map((role) => ROLE.nameOf(role)),
    features: body.features,
    pageBytes: body.pageBytes.map(bigintOf),
    machine: body.machine,
    preset: body.preset,
    server: `${body.product} ${body.productVersion}`,
  };
}

function isTransient(error: unknown): boolean {
  if (error instanceof NotConnected) return TRANSIENT_STATUS.includes(error.status);
  return error instanceof IommudError && (error.code === 'ECONNRESET' || error.code === 'ESHUTDOWN');
}

function failureOf(error: unknown, url: string): Failure {
  if (error instanceof IommudError) return failure(error.code, error.message, error.about, error.cause);
  if (!(error instanceof NotConnected)) return failure('EINVAL', `cannot connect to ${url}: ${textOf(error)}`, 'url', error);
  const { status } = error;
  const code = status === 0 ? 'ECONNRESET' : status === 401 || status === 403 ? 'EPERM' : status === 404 ? 'ENODEV' : 'EPROTO';
  return failure(code, `cannot connect to ${url}: ${error.message}`, url, error);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve();
    };
    const timer = setTimeout(stop, ms);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}
