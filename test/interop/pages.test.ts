/** Pages of docs, as written: their scenarios run, and their tables name what there is. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseTopology } from '../../server/src/app/topology/index.ts';
import { RESET_METHODS } from '../../server/src/core/base/index.ts';
import { FAULT_KINDS } from '../../server/src/core/machine/index.ts';
import { parseScenario, runScenario } from '../../server/src/scenario/index.ts';

describe.each([
  ['errors-and-recovery.md', FAULT_KINDS],
  ['resets.md', RESET_METHODS],
])('docs/%s', (name, words) => {
  const page = readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```iommud\n(?<text>[\s\S]*?)```/g)].map((found) => found.groups?.['text'] ?? '');

  it('lists all that there are', () => {
    const listed = [...page.matchAll(/^\| `(?<name>[a-z_-]+)` \|/gm)].map((found) => found.groups?.['name']);
    expect(listed).toEqual(expect.arrayContaining([...words]));
  });

  it.each(blocks)('%#: its scenario ends as it says', (text) => {
    const result = runScenario(parseScenario(text), { load: () => expect.unreachable() });
    expect(result.done.flatMap(({ wrong, statement }) => wrong.map((what) => `${statement.line}: ${what}`))).toEqual([]);
    expect(result).toMatchObject({ passed: true, violations: [] });
  });

  it('its topologies are such', () => {
    for (const [, text = ''] of page.matchAll(/```yaml\n([\s\S]*?)```/g)) expect(parseTopology(text).functions).not.toEqual([]);
  });

  it('has scenarios', () => {
    expect(blocks.length).toBeGreaterThan(0);
  });
});
