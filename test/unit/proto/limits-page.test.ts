import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { limitsPage, endBounds, endFiles } from '../../../proto/limits-page.mjs';
import * as limits from '../../../proto/limits.ts';

it('the page lists every limit with its value and reason', () => {
  expect(readFileSync('docs/limits.md', 'utf8')).toBe(limitsPage(readFileSync('proto/limits.ts', 'utf8'), { ...limits }, endFiles()));
});

it('values have their units', () => {
  const source = '// ---- Things\n\n/** Why A. */\nexport const A_BYTES_MAX = 3 << 20;\n/** Why B. */\nexport const B_MS = 1500;\n';
  const page = limitsPage(source, { A_BYTES_MAX: 3 << 20, B_MS: 1500 });
  expect(page).toContain(
    '## Things\n\n| limit | value | why |\n|---|---|---|\n| `A_BYTES_MAX` | 3 MiB | Why A. |\n| `B_MS` | 1500 ms | Why B. |\n',
  );
});

it('a limit without a reason is an error that names it', () => {
  expect(() => limitsPage('export const A_MAX = 1;\n', { A_MAX: 1 })).toThrow('no reason in one line above A_MAX');
});

it('the bounds inside each end are read from their files, with value, reason and place', () => {
  const text = '/** Because. */\nexport const A_BYTES_MAX = 16 << 20;\n/** Why not. */\nconst B_MAX = 10_000;\nconst SILENT_MAX = 3;\n';
  const page = endBounds([['core/a.ts', text]]);
  expect(page).toContain('| `A_BYTES_MAX` | 16 MiB | Because. | `core/a.ts` |');
  expect(page).toContain('| `B_MAX` | 10000 | Why not. | `core/a.ts` |');
  expect(page).not.toContain('SILENT_MAX');
});
