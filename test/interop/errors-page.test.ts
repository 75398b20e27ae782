/** docs/errors-and-recovery.md, as written: its scenarios run, and its tables name what there is. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../server/src/core/machine/index.ts';
import { parseScenario, runScenario } from '../../server/src/scenario/index.ts';

const PAGE = readFileSync(new URL('../../docs/errors-and-recovery.md', import.meta.url), 'utf8');
const blocks = [...PAGE.matchAll(/```iommud\n(?<text>[\s\S]*?)```/g)].map((found) => found.groups?.['text'] ?? '');

describe('docs/errors-and-recovery.md', () => {
  it('lists every fault on purpose', () => {
    const listed = [...PAGE.matchAll(/^\| `(?<name>[a-z-]+)` \|/gm)].map((found) => found.groups?.['name']);
    expect(listed).toEqual(expect.arrayContaining([...FAULT_KINDS]));
  });

  it.each(blocks)('%#: its scenario ends as it says', (text) => {
    const result = runScenario(parseScenario(text), { load: () => expect.unreachable() });
    expect(result.done.flatMap(({ wrong, statement }) => wrong.map((what) => `${statement.line}: ${what}`))).toEqual([]);
    expect(result).toMatchObject({ passed: true, violations: [] });
  });

  it('has scenarios', () => {
    expect(blocks.length).toBeGreaterThan(0);
  });
});
