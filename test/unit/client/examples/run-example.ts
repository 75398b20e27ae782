/** Runs an example as a person would, from the sources. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));

/** What it printed. Rejects, with what it said on stderr, when it fails. */
export async function runExample(name: string): Promise<string> {
  const { IOMMUD_URL: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', `client/examples/${name}.ts`], {
    cwd: REPOSITORY,
    timeout: 60_000,
    // Where the package's own name leads to its sources instead of what was built.
    env: { ...env, TSX_TSCONFIG_PATH: 'client/tsconfig.json' },
  });
  return stdout;
}
