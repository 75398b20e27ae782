/** Processes of this project as tests run them: as `build.ts` has built them, without the settings of whoever runs the tests. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const CLI = ['dist/client/cli/main.js'];
export const SERVER = ['dist/server/src/main.js'];
/** Several processes at once, on a slow machine. */
export const TIMEOUT_MS = 90_000;

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function environment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('IOMMUD_'));
  return { ...Object.fromEntries(own), ...more };
}

export function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ''): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd: ROOT, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on('error', () => undefined).end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, out, err }));
  });
}

export interface Running {
  readonly url: string;
  readonly ready: Readonly<Record<string, unknown>>;
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Everything that it printed, once it has ended. */
  readonly ended: Promise<Ended>;
}

/** Started, and ready: its first line has come. */
export async function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const child = spawn(process.execPath, args, { cwd: ROOT, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes('\n')) resolve();
    });
    child.on('close', () => reject(new Error(`ended before it was ready: ${err}`)));
  });
  const ready = JSON.parse(out) as Record<string, unknown>;
  return { url: String(ready['url']), ready, child, ended };
}
