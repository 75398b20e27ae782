/** The service that a command talks to: where it is, with which token, and its REST calls. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Command } from 'commander';
import { EXIT, Exit } from './exit.ts';

const DEFAULT_URL = 'http://127.0.0.1:7411';

/** An empty variable is as none. */
function variable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** How long a service may take to answer: the largest dump is read in seconds, and what waits for a clock goes over the socket. */
const ANSWER_MS_MAX = 60_000;

/** Adds `--url` and `--json`. */
export function talksToService(command: Command): Command {
  return command
    .option('--url <url>', 'the service (IOMMUD_URL; the token is IOMMUD_TOKEN)', variable('IOMMUD_URL') ?? DEFAULT_URL)
    .option('--json', 'print JSON');
}

const BYTES = 'application/octet-stream';

interface Received {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: Uint8Array;
}

export interface ServiceOptions {
  readonly url: string;
  readonly json?: true;
}

export class Service {
  readonly url: string;
  readonly token: string | undefined;

  constructor(options: ServiceOptions) {
    this.url = httpUrl(options.url);
    this.token = variable('IOMMUD_TOKEN');
    if (this.token !== undefined && !/^[\x21-\x7e]+$/.test(this.token))
      throw new Exit(EXIT.usage, 'IOMMUD_TOKEN has characters that a header cannot carry');
  }

  /** `has`: a field that an iommud's answer has. */
  get<T extends object>(path: string, has: keyof T & string): Promise<T> {
    return this.#request('GET', path, has);
  }
  post<T extends object>(path: string, body: object, has: keyof T & string): Promise<T> {
    return this.#request('POST', path, has, body);
  }
  /** The same of a file. */
  postBytes<T extends object>(path: string, body: Uint8Array, has: keyof T & string): Promise<T> {
    return this.#request('POST', path, has, body);
  }
  async getBytes(path: string): Promise<Uint8Array> {
    const answer = await this.#exchange('GET', path, undefined);
    if (answer.status === 200 && answer.type === BYTES) return answer.body;
    return this.#refused('GET', path, answer);
  }
  /** What goes on by itself: its bytes as they come. */
  getStream(path: string): Promise<{ readonly headers: IncomingHttpHeaders; readonly stream: IncomingMessage }> {
    const { send, url, headers } = this.#prepared(path);
    return new Promise((resolve, reject) => {
      const request = send(url, { method: 'GET', headers }, (response) => {
        if (response.statusCode === 200 && response.headers['content-type'] === BYTES) {
          resolve({ headers: response.headers, stream: response });
          return;
        }
        gathered(response)
          .then((body) => this.#refused('GET', path, { status: response.statusCode ?? 0, type: response.headers['content-type'], body }))
          .catch(reject);
      });
      request.on('error', (error) => reject(this.unreachable(error)));
      request.end();
    });
  }
  delete(path: string): Promise<void> {
    return this.#request('DELETE', path, undefined);
  }

  async #request<T>(method: string, path: string, has: string | undefined, body?: object): Promise<T> {
    const sent = body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body);
    const received = await this.#exchange(method, path, sent);
    const answer = parsed(received.body);
    const isGood = received.status >= 200 && received.status < 300;
    if (isGood && (has === undefined ? received.body.length === 0 : isObject(answer) && has in answer)) return answer as T;
    return this.#refused(method, path, received);
  }

  #refused(method: string, path: string, { status, body }: Received): never {
    const answer = parsed(body);
    const isGood = status >= 200 && status < 300;
    // The error body of REST; whatever else answers is no iommud.
    if (isGood || !isObject(answer) || typeof answer['code'] !== 'string') {
      const what = `what answers at ${this.url} is not an iommud service (HTTP ${status} to ${method} ${path})`;
      throw new Exit(EXIT.noService, what);
    }
    throw new Exit(EXIT.refused, `${answer['code']}: ${typeof answer['message'] === 'string' ? answer['message'] : ''}`);
  }

  /** With Node's own client: `fetch` of Node 20 never settles when a connection is taken and closed. */
  #exchange(method: string, path: string, body: string | Uint8Array | undefined): Promise<Received> {
    const { send, url, headers } = this.#prepared(path);
    if (body !== undefined) {
      headers['content-type'] = typeof body === 'string' ? 'application/json' : BYTES;
      headers['content-length'] = Buffer.byteLength(body);
    }
    return new Promise((resolve, reject) => {
      const request = send(url, { method, headers, timeout: ANSWER_MS_MAX }, (response) => {
        gathered(response).then(
          (received) => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'], body: received }),
          (error: unknown) => reject(new Exit(EXIT.noService, `the answer of ${this.url} broke off (${codeOf(error)})`, { cause: error })),
        );
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)));
      request.on('error', (error: NodeJS.ErrnoException) => {
        const sent = (request.socket?.bytesWritten ?? 0) > 0;
        if (body !== undefined && sent && (error.code === 'EPIPE' || error.code === 'ECONNRESET')) {
          const bytes = Buffer.byteLength(body);
          const message = `${this.url} closed the connection while it was sent ${bytes} bytes; its IOMMUD_BODY_BYTES_MAX may be less`;
          reject(new Exit(EXIT.refused, message, { cause: error }));
        } else {
          reject(this.unreachable(error));
        }
      });
      request.end(body);
    });
  }

  #prepared(path: string): { readonly send: typeof httpRequest; readonly url: URL; readonly headers: Record<string, string | number> } {
    const url = new URL(`${this.url}${path}`);
    const headers: Record<string, string | number> = { connection: 'close' };
    if (this.token !== undefined) headers['authorization'] = `Bearer ${this.token}`;
    return { send: url.protocol === 'https:' ? httpsRequest : httpRequest, url, headers };
  }

  /** No service there. */
  unreachable(error: unknown): Exit {
    return new Exit(EXIT.noService, `no service at ${this.url} (${codeOf(error)}); start one with 'iommud serve'`, { cause: error });
  }
}

/** All of an answer. */
function gathered(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve(Buffer.concat(chunks)));
  });
}

/** The path of a machine. A name that a URL takes for a folder would ask for something else. */
export function machinePath(name: string): string {
  if (['', '.', '..'].includes(name)) throw new Exit(EXIT.usage, `'${name}' is no name of a machine`);
  return `/v1/machines/${encodeURIComponent(name)}`;
}

/** What was given for an address, unless it may hold a password. */
function shownUrl(text: string): string {
  return text.includes('@') ? 'what was given' : `'${text}'`;
}

function parsed(body: Uint8Array): unknown {
  try {
    return body.length === 0 ? undefined : JSON.parse(Buffer.from(body).toString());
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Sockets and REST are at one address: `ws://…` is taken for `http://…`. */
function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^(http|ws)s?:$/.test(url.protocol))
    throw new Exit(EXIT.usage, `${shownUrl(text)} is no address of a service; write http://HOST:PORT`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new Exit(EXIT.usage, 'the address of a service has no user, query or fragment; the token is IOMMUD_TOKEN');
  return url.href.replace(/^ws/, 'http').replace(/\/+$/, '');
}

/** The system's name for why a connection failed, from wherever in the chain of causes it is. */
function codeOf(error: unknown): string {
  const { code, cause, errors, message } = error as { code?: string; cause?: unknown; errors?: readonly unknown[]; message?: string };
  if (typeof code === 'string') return code;
  if (cause !== undefined) return codeOf(cause);
  if (errors?.[0] !== undefined) return codeOf(errors[0]);
  return /\bE[A-Z]{3,}\b/.exec(message ?? '')?.[0] ?? message ?? 'unreachable';
}
