/** Programs that take part in machines (`test/interop/peer-program.ts`), to be told what to do, and killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Role } from '../../client/src/index.ts';
import type { TestMachine } from '../../client/testing/index.ts';

const PROGRAM = fileURLToPath(new URL('../interop/peer-program.ts', import.meta.url));
/** The server's watchdog of what peers owe is 30 s: nothing may take longer than that, and what comes of it. */
export const DEADLINE_MS = 40_000;

/** What a program can be told. `at`: the name of its place in a machine. */
export type Deed =
  /** Says whether the function had vanished. */
  | { readonly deed: 'claim'; readonly at: string; readonly url: string; readonly bdf: string }
  /** One page. `slow`: writes are performed when it is told to let them go. */
  | { readonly deed: 'own'; readonly at: string; readonly url: string; readonly address: string; readonly slow: boolean }
  | { readonly deed: 'host'; readonly at: string; readonly url: string }
  | { readonly deed: 'write'; readonly at: string; readonly iova: number; readonly text: string }
  | { readonly deed: 'translate'; readonly at: string; readonly iova: number }
  | { readonly deed: 'prepare'; readonly at: string; readonly bdf: string; readonly deadlineMs: number; readonly token?: string }
  /** `done`: of its own window, or of all where it has none; `reset`: by FLR. */
  | { readonly deed: 'done' | 'reset'; readonly at: string; readonly bdf: string }
  | { readonly deed: 'remap'; readonly at: string; readonly bdf: string; readonly iova: number; readonly address: string }
  | { readonly deed: 'content'; readonly at: string; readonly bytes: number }
  /** `leave`: closes its connection; `gone`: returns when that is closed. */
  | { readonly deed: 'resets' | 'let-go' | 'slow' | 'leave' | 'gone'; readonly at: string };

type Answer = 'ready' | { readonly id: number; readonly value?: unknown; readonly code?: string };

/** The error that a call of it got. */
export class PeerError extends Error {
  readonly code: string;

  constructor(code: string, deed: string) {
    super(`${deed}: ${code}`);
    this.code = code;
  }
}

interface Waiting {
  readonly deed: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class PeerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<unknown>;
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit');
    child.on('message', (answer: Answer) => {
      if (answer !== 'ready') this.#settle(answer);
    });
    child.on('exit', () => {
      for (const id of this.#waiting.keys()) this.#settle({ id, code: 'killed' });
    });
  }

  /** `within`: a command that runs it elsewhere, such as in a network namespace. */
  static async start(within: readonly string[] = []): Promise<PeerProcess> {
    const [command, ...args] = [...within, process.execPath, '--import', 'tsx', PROGRAM];
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const peer = new PeerProcess(child);
    await Promise.race([
      once(child, 'message'),
      peer.#exited.then(() => Promise.reject(new Error(`${command} ended before it was ready`))),
    ]);
    return peer;
  }

  /** What comes of it. Errors: {@link PeerError}: what its call got, or `killed`; an Error where it hangs. */
  tell(deed: Deed): Promise<unknown> {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { deed: deed.deed, resolve, reject });
      this.#child.send({ id, deed }, (error) => {
        if (error !== null) this.#settle({ id, code: 'killed' });
      });
    });
    let timer: NodeJS.Timeout;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`"${deed.deed}" at ${deed.at} hangs: no end of it after ${DEADLINE_MS} ms`)), DEADLINE_MS);
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** SIGKILL: it has no chance to say anything. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
  }

  #settle({ id, value, code }: Exclude<Answer, 'ready'>): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (code === undefined) waiting?.resolve(value);
    else waiting?.reject(new PeerError(code, waiting.deed));
  }
}

/** How many of this role take part, as the service has it. */
export async function countOf({ serviceUrl, id }: TestMachine, role: Role): Promise<number> {
  const answer = await fetch(`${serviceUrl}/v1/machines/${id}/status`);
  const { peers } = (await answer.json()) as { readonly peers: readonly { readonly roles: readonly string[] }[] };
  return peers.filter(({ roles }) => roles.includes(role)).length;
}

/** Many may wait at a time. */
const POLL_MS = 20;

/** Waits until it is so, and no longer than anything may take. */
export async function until(check: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`there is no ${what} after ${DEADLINE_MS} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}
