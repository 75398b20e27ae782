import { afterAll, beforeAll, beforeEach, onTestFinished, vi } from 'vitest';
import { run } from '../../client/cli/run.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import type { Ended } from './cli-process.ts';

/** One command line in this process, which is quicker than one of its own. One at a time: its output is the process's. */
export async function iommud(...args: readonly string[]): Promise<Ended> {
  const [out, err] = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockReturnValue(true));
  try {
    const code = await run(['node', 'iommud', ...args]);
    const text = (spy: typeof out) => (spy?.mock.calls ?? []).map(([chunk]) => String(chunk)).join('');
    return { code, out: text(out), err: text(err) };
  } finally {
    out?.mockRestore();
    err?.mockRestore();
    process.exitCode = undefined;
  }
}

/** A service for the commands of a file's tests, which find it by their environment. Its URL is there when tests run. */
export function serviceForCommands(): { readonly url: string } {
  let server: RunningServer | undefined;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'silent' });
  });
  afterAll(() => server?.close());
  beforeEach(() => {
    vi.stubEnv('IOMMUD_URL', server?.url);
    vi.stubEnv('IOMMUD_TOKEN', undefined);
    onTestFinished(() => void vi.unstubAllEnvs());
  });
  return {
    get url() {
      return server?.url ?? '';
    },
  };
}
