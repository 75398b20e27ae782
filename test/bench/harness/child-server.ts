/** A server in a process of its own, as the real one is: it prints `{"port": …}` when it listens and ends with its stdin. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ChildServer {
  readonly port: number;
  close(): Promise<void>;
}

const START_MS_MAX = 20_000;
const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

/** Starts a TypeScript program with arguments. Throws when it ends, or says nothing, before it listens. */
export async function startChildServer(program: URL, args: readonly (string | number)[]): Promise<ChildServer> {
  const argv = ['--import', 'tsx', fileURLToPath(program), ...args.map(String)];
  const child = spawn(process.execPath, argv, { cwd: REPOSITORY, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([
    once(lines, 'line', { signal: AbortSignal.timeout(START_MS_MAX) }),
    exited.then(([code]) => {
      throw new Error(`${program.pathname} ended with ${code} before it listened`);
    }),
  ]);
  const { port } = JSON.parse(String(first[0])) as { port: number };
  return {
    port,
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** For the program itself: says where it listens, and ends when its starter is gone. */
export function announce(port: number): void {
  console.log(JSON.stringify({ port }));
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}
