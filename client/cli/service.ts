/** The service that a command talks to: where it is, with which token, and its REST calls. */
import type { Command } from 'commander';
import { EXIT, Exit } from './exit.ts';

const DEFAULT_URL = 'http://127.0.0.1:7411';

/** An empty variable is as none. */
function variable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** The error body of REST. */
interface Refused {
  readonly code?: string;
  readonly message?: string;
}

/** Adds `--url` and `--json`. */
export function talksToService(command: Command): Command {
  return command
    .option('--url <url>', 'the service (IOMMUD_URL; the token is IOMMUD_TOKEN)', variable('IOMMUD_URL') ?? DEFAULT_URL)
    .option('--json', 'print JSON');
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
  }

  get<T>(path: string): Promise<T> {
    return this.#request('GET', path);
  }
  post<T>(path: string, body: object): Promise<T> {
    return this.#request('POST', path, body);
  }
  delete(path: string): Promise<void> {
    return this.#request('DELETE', path);
  }

  async #request<T>(method: string, path: string, body?: object): Promise<T> {
    const headers: Record<string, string> = {};
    if (this.token !== undefined) headers['authorization'] = `Bearer ${this.token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw this.unreachable(error);
    });
    const text = await response.text();
    if (!response.ok) throw refused(response, text);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** No service there. */
  unreachable(error: unknown): Exit {
    return new Exit(EXIT.noService, `no service at ${this.url} (${codeOf(error)}); start one with 'iommud serve'`, { cause: error });
  }
}

/** Sockets and REST are at one address: `ws://…` is taken for `http://…`. */
function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^(http|ws)s?:$/.test(url.protocol))
    throw new Exit(EXIT.usage, `'${text}' is no address of a service; write http://HOST:PORT`);
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

function refused(response: Response, text: string): Exit {
  let body: Refused = {};
  try {
    body = JSON.parse(text) as Refused;
  } catch {
    // Whatever answered is no iommud; the status says what there is to say.
  }
  const why = body.code === undefined ? `HTTP ${response.status} ${response.statusText}` : `${body.code}: ${body.message ?? ''}`;
  return new Exit(EXIT.refused, why);
}
