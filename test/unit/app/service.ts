/** A service without a port, for tests of its routes. */
import { PassThrough } from 'node:stream';
import type {} from '@fastify/websocket';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { onTestFinished } from 'vitest';
import type { WebSocket } from 'ws';
import { connectOver, type Connection, type HelloOptions, type Socket } from '../../../client/src/index.ts';
import { DEFAULT_SETTINGS, buildApp, type AppOptions } from '../../../server/src/app/index.ts';
import { createLog } from '../../../server/src/observe/index.ts';

type Headers = Readonly<Record<string, string>>;

export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly socketUrl: string;
  readonly expiresAt: string | null;
  readonly sessions: number;
}

export class Service {
  readonly app: FastifyInstance;
  readonly headers: Headers;

  constructor(app: FastifyInstance, headers: Headers = {}) {
    this.app = app;
    this.headers = headers;
  }

  /** The same service for another caller. */
  as(token: string): Service {
    return new Service(this.app, { authorization: `Bearer ${token}` });
  }

  get(url: string, headers: Headers = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ method: 'GET', url, headers: { ...this.headers, ...headers } });
  }
  post(url: string, body: object | string, headers: Headers = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ method: 'POST', url, payload: body, headers: { ...this.headers, ...headers } });
  }
  delete(url: string, headers: Headers = {}): Promise<LightMyRequestResponse> {
    return this.app.inject({ method: 'DELETE', url, headers: { ...this.headers, ...headers } });
  }

  async make(body: object = {}): Promise<Machine> {
    const made = await this.post('/v1/machines', { preset: 'basic', ...body });
    if (made.statusCode !== 201) throw new Error(made.body);
    return made.json<Machine>();
  }

  /** Upgrades; rejects with the status when it is refused. */
  upgrade(path: string, headers: Headers = { 'sec-websocket-protocol': 'iommud.v1' }): Promise<WebSocket> {
    const socket = new PassThrough() as unknown as AppSocket;
    return this.app.injectWS(path, { headers: { host: 'localhost', ...this.headers, ...headers }, socket });
  }

  /** The client, on a socket to the machine. */
  async connect(id: string, options: HelloOptions = {}): Promise<Connection> {
    const connection = await connectOver(new InjectedSocket(await this.upgrade(`/v1/machines/${id}/socket`)), options);
    onTestFinished(() => connection.close());
    return connection;
  }
}

type AppSocket = NonNullable<Parameters<FastifyInstance['injectWS']>[1]>['socket'] & object;

class InjectedSocket implements Socket {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void {
    this.#socket.send(message);
  }
  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }
  listen(listener: Parameters<Socket['listen']>[0]): void {
    this.#socket.on('message', (data: Buffer) => listener.message(new Uint8Array(data)));
    this.#socket.on('close', (code, reason) => listener.closed({ code, reason: reason.toString() }));
  }
}

/** Built for one test, and closed after it. */
export async function service(options: Partial<AppOptions> = {}): Promise<Service> {
  const app = await buildApp({ ...DEFAULT_SETTINGS, drainMs: 200, log: createLog('silent'), processMetrics: false, ...options });
  onTestFinished(() => Promise.resolve(app.close()).then(() => undefined));
  await app.ready();
  return new Service(app);
}
