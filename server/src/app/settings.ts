/** What the service is told when it starts: names, ranges and defaults of every setting, and one clear sentence for each mistake. */
import { readFileSync } from 'node:fs';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { LOG_LEVELS, type LogLevel } from '../observe/index.ts';
import { tokenRows, type TokenRow } from './tokens.ts';

/** A variable or flag has a value that cannot be used. The message names it. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

export interface Settings {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly tokens: readonly TokenRow[];
  readonly insecure: boolean;
  readonly logLevel: LogLevel;
  /** How machines' sockets are reached from outside, `https://iommud.example/lab`; absent: by the request's own Host. */
  readonly publicUrl?: string;
  /** Folder for one trace file a machine; absent: none are written. */
  readonly traceDir?: string;
  /** Folder for one recording a machine; absent: none are made. */
  readonly recordDir?: string;
  readonly machinesMax: number;
  readonly bodyBytesMax: number;
  /** How long calls that are in flight may go on after SIGTERM, wall clock, milliseconds. */
  readonly drainMs: number;
}

/** Values by the names of environment variables. */
export type SettingsSource = Readonly<Record<string, string | undefined>>;

const DEFAULT_LISTEN = '127.0.0.1:7411';

/** What the command line may say; it goes before the environment. */
export interface SettingsFlags {
  readonly listen?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly logLevel?: string | undefined;
}

/** What {@link Settings} is with nothing said. */
export const DEFAULT_SETTINGS: Settings = {
  host: '127.0.0.1',
  port: 7411,
  tokens: [],
  insecure: false,
  logLevel: 'info',
  machinesMax: 4096,
  bodyBytesMax: 20 << 20,
  drainMs: 5000,
};

/**
 * Reads `IOMMUD_LISTEN`, `IOMMUD_TOKEN`, `IOMMUD_TOKENS_FILE`, `IOMMUD_INSECURE`, `IOMMUD_LOG_LEVEL`, `IOMMUD_PUBLIC_URL`, `IOMMUD_TRACE_DIR`,
 * `IOMMUD_RECORD_DIR`, `IOMMUD_MACHINES_MAX`, `IOMMUD_BODY_BYTES_MAX` and `IOMMUD_DRAIN_MS`; an empty value is as none. Throws {@link SettingsError}, also
 * when the address is beyond loopback with no token and not insecure.
 */
export function readSettings(source: SettingsSource, flags: SettingsFlags = {}): Settings {
  const text = (name: string): string | undefined => source[name] || undefined;
  const { host, port } = parseListen(flags.listen ?? text('IOMMUD_LISTEN') ?? DEFAULT_LISTEN);
  const publicUrl = text('IOMMUD_PUBLIC_URL');
  const traceDir = text('IOMMUD_TRACE_DIR');
  const recordDir = text('IOMMUD_RECORD_DIR');
  const settings: Settings = {
    host,
    port,
    tokens: readTokens(text('IOMMUD_TOKEN'), text('IOMMUD_TOKENS_FILE')),
    insecure: flags.insecure ?? flag('IOMMUD_INSECURE', text('IOMMUD_INSECURE')),
    logLevel: level(flags.logLevel ?? text('IOMMUD_LOG_LEVEL') ?? DEFAULT_SETTINGS.logLevel),
    ...(publicUrl === undefined ? {} : { publicUrl: httpUrl('IOMMUD_PUBLIC_URL', publicUrl) }),
    ...(traceDir === undefined ? {} : { traceDir }),
    ...(recordDir === undefined ? {} : { recordDir }),
    machinesMax: count('IOMMUD_MACHINES_MAX', text('IOMMUD_MACHINES_MAX'), 1, 1_000_000, DEFAULT_SETTINGS.machinesMax),
    bodyBytesMax: count('IOMMUD_BODY_BYTES_MAX', text('IOMMUD_BODY_BYTES_MAX'), 1024, 1 << 30, DEFAULT_SETTINGS.bodyBytesMax),
    drainMs: count('IOMMUD_DRAIN_MS', text('IOMMUD_DRAIN_MS'), 0, 600_000, DEFAULT_SETTINGS.drainMs),
  };
  requireTokenBeyondLoopback(settings);
  return settings;
}

/** Throws {@link SettingsError} for an address that others can reach while everybody would be let in. */
export function requireTokenBeyondLoopback(settings: Pick<Settings, 'host' | 'tokens' | 'insecure'>): void {
  if (isLoopback(settings.host) || settings.tokens.length > 0 || settings.insecure) return;
  throw new SettingsError(
    `will not listen on ${settings.host}, which is beyond loopback, without a token: set IOMMUD_TOKEN, or pass --insecure to let everybody in`,
  );
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether only this machine can reach the address. A name other than `localhost` may lead anywhere. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host === 'localhost';
  return LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** `HOST:PORT`, with an IPv6 address in brackets. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/i.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && !isIPv6(host))) {
    throw new SettingsError(`cannot listen on '${text}': write HOST:PORT, as in 127.0.0.1:7411 or [::1]:7411; port 0 is any that is free`);
  }
  return { host, port };
}

function readTokens(token: string | undefined, file: string | undefined): readonly TokenRow[] {
  const one = token === undefined ? [] : orSettingsError('IOMMUD_TOKEN', () => tokenRows({ [token]: {} }));
  if (file === undefined) return one;
  return [...one, ...orSettingsError(`IOMMUD_TOKENS_FILE ${file}`, () => tokenRows(JSON.parse(readFileSync(file, 'utf8'))))];
}

function orSettingsError<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new SettingsError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function flag(name: string, text: string | undefined): boolean {
  if (text === undefined || text === '0' || text === 'false') return false;
  if (text === '1' || text === 'true') return true;
  throw new SettingsError(`${name} is '${text}'; write 1 or 0`);
}

function level(text: string): LogLevel {
  const found = LOG_LEVELS.find((name) => name === text);
  if (found === undefined) throw new SettingsError(`log level '${text}' is not one of ${LOG_LEVELS.join(', ')}`);
  return found;
}

function httpUrl(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new SettingsError(`${name} is '${text}'; write an address like https://iommud.example`);
  }
  return url.href.replace(/\/+$/, '');
}

function count(name: string, text: string | undefined, least: number, most: number, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new SettingsError(`${name} is '${text}'; write a whole number from ${least} to ${most}`);
  }
  return value;
}
