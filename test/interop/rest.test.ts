/** docs/rest.md, as written: every curl line runs against a service, and answers with what the page says. */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';

const PAGE = readFileSync(new URL('../../docs/rest.md', import.meta.url), 'utf8');
const ADDRESS = 'http://127.0.0.1:7411';
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const execute = promisify(execFile);

interface Step {
  readonly command: string;
  /** What the answer must hold, as the page shows it; undefined: nothing. */
  readonly answer: string | undefined;
}

/** Each bash block with the json block after it. */
function steps(page: string): readonly Step[] {
  const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language, text: text ?? '' }));
  return blocks.flatMap(({ language, text }, at) => {
    const next = blocks[at + 1];
    return language === 'bash' ? [{ command: text, answer: next?.language === 'json' ? next.text : undefined }] : [];
  });
}

// The page is for people with curl: its lines are run by it. CI has it.
describe.skipIf(!hasCurl)(hasCurl ? 'docs/rest.md' : 'docs/rest.md: SKIPPED, there is no curl', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'silent' });
  });
  afterAll(() => server.close());

  test('begins by starting the service at the address that it then uses', () => {
    expect(steps(PAGE)[0]?.command).toBe('npx iommud serve\n');
  });

  test('shows what happens', async () => {
    const rest = steps(PAGE).slice(1);
    expect(rest.length).toBeGreaterThan(8);
    for (const { command, answer } of rest) {
      expect(command).toContain(ADDRESS);
      // `execFile` and not its synchronous sister: the service is in this process.
      const { stdout } = await execute('bash', ['-c', command.replaceAll(ADDRESS, server.url)]);
      if (answer === undefined) expect(stdout).toBe('');
      else expect(JSON.parse(stdout)).toMatchObject(JSON.parse(answer) as object);
    }
  });
});
