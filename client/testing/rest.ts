/** The few REST calls that a test needs. */
import { IommudError, type ErrorCode } from '../src/index.ts';

export interface Service {
  /** `http://127.0.0.1:7411`. */
  readonly url: string;
  readonly token: string | undefined;
}

/** What the service says of a machine that it made. */
export interface MadeMachine {
  readonly id: string;
  readonly name: string;
  readonly socketUrl: string;
  /** What was odd in a dump, by function and offset. */
  readonly warnings: readonly string[];
}

interface ErrorBody {
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly about?: string;
}

export function makeMachine(service: Service, body: object): Promise<MadeMachine> {
  return request<MadeMachine>(service, 'POST', '/v1/machines', body);
}

/** A machine that is gone already is deleted enough. */
export async function deleteMachine(service: Service, id: string): Promise<void> {
  try {
    await request(service, 'DELETE', `/v1/machines/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof IommudError && error.code === 'ENODEV')) throw error;
  }
}

async function request<T>({ url, token }: Service, method: string, path: string, body?: object): Promise<T> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const address = `${url.replace(/^ws/, 'http').replace(/\/+$/, '')}${path}`;
  const response = await fetch(address, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }).catch(
    (cause: unknown) => {
      throw new IommudError({ code: 'ECONNRESET', message: `no service at ${url}`, about: url, cause });
    },
  );
  const text = await response.text();
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
  const { code = 'EPROTO', message, about = '' } = errorBody(text);
  throw new IommudError({ code, message: message ?? `${method} ${address}: HTTP ${response.status} ${response.statusText}`, about });
}

/** Something in front of the service may answer with anything. */
function errorBody(text: string): ErrorBody {
  try {
    return JSON.parse(text) as ErrorBody;
  } catch {
    return {};
  }
}
