/** The service as a process: says when it is ready, and ends in order. */
import closeWithGrace from 'close-with-grace';
import { createLog } from '../observe/index.ts';
import type { Settings } from './settings.ts';
import { startServer } from './start-server.ts';
import { VERSION } from './version.ts';

/** After the drain: closing sockets and files. Beyond it the process ends anyway. */
const CLOSE_MS_MAX = 5000;

export interface RunOptions {
  /** Stop when standard input ends, as when whoever started this is gone. */
  readonly exitWithStdin: boolean;
}

/**
 * Starts, prints one JSON line `{url, version, pid}` on stdout, and returns. SIGTERM, SIGINT and, if asked for, the end of standard input begin the
 * drain; the process then ends with 0. Throws what `startServer` throws.
 */
export async function runServer(settings: Settings, options: RunOptions): Promise<void> {
  const log = createLog(settings.logLevel);
  const server = await startServer({ ...settings, log, processMetrics: true });
  const grace = closeWithGrace({ delay: settings.drainMs + CLOSE_MS_MAX, logger: false }, async ({ err, signal }) => {
    if (err === undefined) log.info({ signal, drainMs: settings.drainMs }, 'draining');
    else log.fatal({ err }, 'unexpected error; ending');
    await server.close();
    log.info('stopped');
  });
  if (options.exitWithStdin) {
    process.stdin.once('end', () => grace.close()).once('error', () => grace.close());
    process.stdin.resume();
  }
  process.stdout.write(`${JSON.stringify({ url: server.url, version: VERSION, pid: process.pid })}\n`);
}
