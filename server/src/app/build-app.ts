/** The service as one Fastify instance. Nothing here listens; `start-server.ts` does. */
import websocket from '@fastify/websocket';
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { CLOSE } from '../../../proto/close.ts';
import { CONTRACT_VERSION } from '../../../proto/index.ts';
import { MESSAGE_BYTES_MAX } from '../../../proto/limits.ts';
import { createMetrics, type Log } from '../observe/index.ts';
import { Access } from './access.ts';
import { documentation } from './documentation.ts';
import { Machines } from './machines.ts';
import { Once } from './once.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { busRoutes } from './routes/bus.ts';
import { dirtyLogRoutes } from './routes/dirty-log.ts';
import { functionRoutes } from './routes/functions.ts';
import { healthRoutes } from './routes/health.ts';
import { hotplugRoutes } from './routes/hotplug.ts';
import { machineRoutes } from './routes/machines.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { recordingRoutes } from './routes/recordings.ts';
import { resetRoutes } from './routes/resets.ts';
import { schemaRoutes } from './routes/schema.ts';
import { snapshotRoutes } from './routes/snapshots.ts';
import { SUBPROTOCOL, socketRoutes } from './routes/socket.ts';
import { stateRoutes } from './routes/state.ts';
import type { Settings } from './settings.ts';
import { Tokens } from './tokens.ts';
import { VERSION } from './version.ts';

/** After the drain, what requests that are being answered still get. */
const REQUEST_GRACE_MS = 500;

/** Of an id or a place in a path: more than Node takes of a whole request line. */
const PARAM_CHARS_MAX = 16_384;

export interface AppOptions extends Omit<Settings, 'host' | 'port' | 'logLevel'> {
  readonly log: Log;
  /** Measure the process too: once for each process. */
  readonly processMetrics: boolean;
}

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { log, drainMs } = options;
  const access = new Access(new Tokens(options.tokens), options.insecure);
  const once = new Once();
  const machines = new Machines({ ...options, onDeleted: (entry) => once.forget(entry.id) });
  const metrics = createMetrics(VERSION, () => machines.counts(), options.processMetrics);
  const loggerInstance: FastifyBaseLogger = log;
  const app = fastify({
    loggerInstance,
    logController: new LogController({ requestIdLogLabel: 'requestId' }),
    bodyLimit: options.bodyBytesMax,
    // A name that is too long is no machine: the route says so, and not the router.
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    frameworkErrors: (error, request, reply) => {
      const refusal = refusalOf(error) ?? internal(request.id);
      void (reply as FastifyReply).code(refusal.status).send(refusal.body);
    },
    // While draining, our own hook says so with the error body that every route has.
    return503OnClosing: false,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    childLoggerFactory: (logger, bindings, childOptions, raw) => logger.child({ ...bindings, ...subjectOf(raw.url) }, childOptions),
  });
  app.setErrorHandler((error, request, reply) => {
    const refusal = refusalOf(error) ?? internal(request.id);
    if (refusal.status >= 500) request.log.error({ err: error }, refusal.message);
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.code(refusal.status).send(refusal.body);
  });
  app.setNotFoundHandler((request) => {
    throw new Refusal('ENOSYS', `there is no ${request.method} ${request.url.split('?')[0]}; see /docs`, 'path');
  });

  await app.register(websocket, {
    options: { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX, handleProtocols: () => SUBPROTOCOL },
    errorHandler: socketFailed,
    preClose: async () => {
      await machines.close(drainMs);
      // Connections that were opened and never asked anything, or stopped in the middle of it, would hold the end up.
      setTimeout(() => app.server.closeAllConnections(), REQUEST_GRACE_MS).unref();
    },
  });
  await documentation(app, VERSION);
  await app.register((instance) => {
    healthRoutes(instance, { version: VERSION, contract: CONTRACT_VERSION, draining: () => machines.draining });
    schemaRoutes(instance);
  });
  await app.register(async (instance) => {
    await access.guard(instance);
    metricsRoutes(instance, access, metrics);
    refuseWhileDraining(instance, machines);
    const routes = { access, machines, once, publicUrl: options.publicUrl };
    machineRoutes(instance, routes);
    await snapshotRoutes(instance, routes);
    recordingRoutes(instance, access, machines);
    functionRoutes(instance, access, machines);
    hotplugRoutes(instance, access, machines, once);
    dirtyLogRoutes(instance, access, machines, once);
    busRoutes(instance, access, machines, once);
    resetRoutes(instance, access, machines, once);
    stateRoutes(instance, access, machines, once);
    socketRoutes(instance, access, machines);
  });
  return app;
}

/** What is in flight when the draining begins has passed this hook and goes on. */
function refuseWhileDraining(app: FastifyInstance, machines: Machines): void {
  app.addHook('onRequest', async (request) => {
    if (machines.draining && request.routeOptions.url !== '/metrics') throw new Refusal('ESHUTDOWN', 'the service is stopping');
  });
}

/** What `ws` itself reports, it closes with the right code by itself; cutting the connection here would swallow that code. */
function socketFailed(error: Error, socket: WebSocket, request: FastifyRequest): void {
  if (error instanceof Refusal) {
    socket.close(CLOSE.goingAway, error.message);
  } else if (typeof (error as NodeJS.ErrnoException).code === 'string') {
    request.log.info({ err: error }, 'socket error');
  } else {
    request.log.error({ err: error }, 'internal error on a socket');
    socket.close(CLOSE.crashed, 'internal error');
  }
}

function internal(requestId: string): Refusal {
  return new Refusal('EIO', `internal error; the log has more at requestId ${requestId}`, '', 500);
}

/** The machine and the function that a request is about, for each of its lines in the log. */
function subjectOf(url: string | undefined): { readonly machine?: string; readonly function?: string } {
  const [, machine, fn] = /^\/v1\/machines\/([^/?]+)(?:\/functions\/([^/?]+))?/.exec(url ?? '') ?? [];
  return { ...(machine === undefined ? {} : { machine }), ...(fn === undefined ? {} : { function: fn }) };
}
