/** The service's log: JSON lines on stderr, so that stdout stays free for what a program reads. */
import pino, { type Logger } from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type Log = Logger;

const STDERR = 2;

/**
 * A logger on stderr, or on the file `path`. Lines are written at once, so none is lost when the process ends. Where they cannot be
 * written (a full disk, a closed pipe) they are lost and the service goes on.
 */
export function createLog(level: LogLevel, path?: string): Log {
  const destination = pino.destination({ dest: path ?? STDERR, sync: true });
  destination.on('error', () => undefined);
  return pino({ level, base: null }, destination);
}
