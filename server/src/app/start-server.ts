/** The service on a port. */
import { mkdirSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { createLog, type Log } from '../observe/index.ts';
import { buildApp } from './build-app.ts';
import { DEFAULT_SETTINGS, SettingsError, requireTokenBeyondLoopback, type Settings } from './settings.ts';

export interface StartOptions extends Partial<Settings> {
  /** Measure the process too (`/metrics`): once for each process. */
  readonly processMetrics?: boolean;
  readonly log?: Log;
}

export interface RunningServer {
  /** `http://127.0.0.1:7411`: with the port that was really taken, and a host that can be connected to. */
  readonly url: string;
  /** Drains within `drainMs`, then closes everything. The same promise when called again. */
  close(): Promise<void>;
}

/** The service could not take its address. The message is one sentence. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/**
 * Starts a service. What is not said is as in `DEFAULT_SETTINGS`. Throws SettingsError for an address beyond loopback with no token and not insecure
 * and for a folder of traces or recordings that cannot be, and
 * {@link ListenError} when the address cannot be had.
 */
export async function startServer(options: StartOptions = {}): Promise<RunningServer> {
  const settings: Settings = { ...DEFAULT_SETTINGS, ...options };
  requireTokenBeyondLoopback(settings);
  if (settings.traceDir !== undefined) makeFolder('IOMMUD_TRACE_DIR', settings.traceDir);
  if (settings.recordDir !== undefined) makeFolder('IOMMUD_RECORD_DIR', settings.recordDir);
  const log = options.log ?? createLog(settings.logLevel);
  const app = await buildApp({ ...settings, log, processMetrics: options.processMetrics ?? false });
  try {
    await app.listen({ host: settings.host, port: settings.port });
  } catch (error) {
    await app.close();
    throw new ListenError(listenProblem(settings, error as NodeJS.ErrnoException), { cause: error });
  }
  let closed: Promise<void> | undefined;
  return {
    url: urlOf(app.server.address() as AddressInfo),
    close: () => (closed ??= Promise.resolve(app.close()).then(() => undefined)),
  };
}

function makeFolder(variable: string, path: string): void {
  try {
    makeFolders(path);
  } catch (error) {
    throw new SettingsError(`${variable}: ${(error as Error).message}`, { cause: error });
  }
}

/** With those above it. Not by `recursive`, with which Node 20 never returns where a file system makes no folders, as /proc. */
function makeFolders(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolders(dirname(path));
    mkdirSync(path);
  }
}

/** An address that means "all of them" is no address to connect to: loopback is one of them. */
function urlOf({ address, port }: AddressInfo): string {
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenProblem({ host, port }: Settings, error: NodeJS.ErrnoException): string {
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const why: Record<string, string> = {
    EADDRINUSE: 'the port is in use (EADDRINUSE); another iommud may be running, or pass --listen HOST:PORT with another port, 0 for any',
    EACCES: 'that port needs more rights (EACCES); take one from 1024 on',
    EADDRNOTAVAIL: 'this machine has no such address (EADDRNOTAVAIL)',
    ENOTFOUND: 'no such host (ENOTFOUND)',
  };
  return `cannot listen on ${where}: ${why[error.code ?? ''] ?? error.message}`;
}
