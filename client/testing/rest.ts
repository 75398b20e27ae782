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

export interface StartedRecording {
  /** Ends it. The same file when called again. */
  end(): Promise<Uint8Array>;
}

/** Records a machine into memory. */
export async function startRecording(service: Service, id: string): Promise<StartedRecording> {
  const path = `/v1/machines/${encodeURIComponent(id)}`;
  const { headers, body } = await answerOf(service, 'GET', `${path}/recording`);
  const file = gathered(body);
  // One that breaks off is told to whoever asks for the file.
  file.catch(() => undefined);
  let ended: Promise<void> | undefined;
  return {
    end: async () => {
      ended ??= request<void>(service, 'DELETE', `${path}/recordings/${headers.get('iommud-recording') ?? ''}`).catch(alreadyEnded);
      await ended;
      return file;
    },
  };
}

/** With its machine, which was deleted or has crashed, or because it was too long. */
function alreadyEnded(error: unknown): void {
  if (!(error instanceof IommudError && ['ENODEV', 'ENOENT', 'EIO'].includes(error.code))) throw error;
}

async function gathered(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body ?? []) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function request<T>(service: Service, method: string, path: string, body?: object): Promise<T> {
  const text = await (await answerOf(service, method, path, body)).text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** One that is no refusal. */
async function answerOf({ url, token }: Service, method: string, path: string, body?: object): Promise<Response> {
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
  if (response.ok) return response;
  const { code = 'EPROTO', message, about = '' } = errorBody(await response.text());
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
