import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EXPLORED_STEPS } from '../../../server/src/scenario/play.ts';
import { SETTINGS } from '../../../server/src/scenario/settings.ts';
import { STAGE_VERBS } from '../../../server/src/scenario/stage.ts';
import { VERBS } from '../../../server/src/scenario/verbs.ts';

const PAGE = readFileSync(new URL('../../../docs/scenarios.md', import.meta.url), 'utf8');

describe('docs/scenarios.md', () => {
  it('has every verb with its usage and what it does, and no other', () => {
    const table = PAGE.slice(PAGE.indexOf('| verb | does |'), PAGE.indexOf('## Actors and orders'));
    const rows = [...table.matchAll(/^\| `(?<usage>.+?)` +\| (?<does>.+?) +\|$/gm)].map(({ groups }) => [
      groups!['usage']!.replaceAll('\\|', '|'),
      groups!['does'],
    ]);
    expect(rows).toEqual([...Object.values(VERBS), ...Object.values(STAGE_VERBS)].map(({ usage, does }) => [usage, does]));
  });

  it('names every step at which actors stop', () => {
    const steps = EXPLORED_STEPS.map((step) => `\`${step}\``).join(', ');
    expect(PAGE.replaceAll(/\s+/g, ' ')).toContain(`(${steps};`);
  });

  it('has every machine that the built-in actors act on', () => {
    const rows = [...PAGE.matchAll(/^\| `(?<name>[a-z-]+)` \| (?<does>.+?) \|$/gm)].map(({ groups }) => [groups!['name'], groups!['does']]);
    for (const [name, { does }] of Object.entries(SETTINGS)) expect(rows).toContainEqual([name, does]);
  });

  it.each([...Object.entries(VERBS), ...Object.entries(STAGE_VERBS)])('%s begins its usage', (verb, { usage }) => {
    expect(usage.split(' ')).toContain(verb);
  });
});
