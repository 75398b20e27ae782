import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CALL_STEPS, STEPS } from '../../../../server/src/core/machine/calls/call-steps.ts';

const PAGE = readFileSync(new URL('../../../../docs/steps.md', import.meta.url), 'utf8');
const ROW = /^\| `(?<name>[a-z-]+)` \| (?<text>.+?) +\|$/gm;

describe('docs/steps.md', () => {
  it('has every call with its steps, and every step with what it does', () => {
    const rows = [...PAGE.matchAll(ROW)].map(({ groups }) => [groups!['name'], groups!['text']]);
    expect(rows).toEqual([
      ...Object.entries(CALL_STEPS).map(([call, steps]) => [call, steps.map((step) => `\`${step}\``).join(' ')]),
      ...Object.entries(STEPS),
    ]);
  });
});
