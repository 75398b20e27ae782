import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { runExample } from './run-example.ts';

it('the negative test holds, and says what was refused', async () => {
  expect(await runExample('rogue-dma')).toBe('refused, as it must be: 00:02.0 write 0x11000: not present\n');
}, 60_000);

it('its workflow runs programs that are there', () => {
  const root = new URL('../../../../', import.meta.url);
  const text = readFileSync(new URL('client/examples/ci/rogue-dma.yml', root), 'utf8');
  const { jobs } = parse(text) as { jobs: Record<string, { steps: { run?: string }[] }> };
  const programs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = '' }) => run.match(/client\/\S+/g) ?? []));
  expect(programs).toEqual(['client/examples/rogue-dma.ts', 'client/python', 'client/python/examples/rogue_dma.py']);
  for (const program of programs) expect(existsSync(new URL(program, root))).toBe(true);
});
