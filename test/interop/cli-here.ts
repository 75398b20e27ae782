import { vi } from 'vitest';
import { run } from '../../client/cli/run.ts';
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
