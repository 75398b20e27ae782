/** A run as a JUnit report: a test case for each line that expects something, and one for the invariants. */
import type { RunResult } from './run-scenario.ts';

export function junit(file: string, { title, behaviour, done, violations }: RunResult): string {
  const suite = `${title || file} (${behaviour})`;
  const cases = done
    .filter(({ statement, wrong }) => statement.expect !== undefined || wrong.length > 0)
    .map(({ statement, wrong }) => testCase(suite, `${statement.line}: ${statement.text}`, wrong));
  cases.push(
    testCase(
      suite,
      'invariants',
      violations.map(({ invariant, text }) => (invariant === 0 ? text : `invariant ${invariant}: ${text}`)),
    ),
  );
  const failures = cases.filter((text) => text.includes('<failure')).length;
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="${escaped(suite)}" tests="${cases.length}" failures="${failures}">
${cases.join('\n')}
  </testsuite>
</testsuites>
`;
}

function testCase(suite: string, name: string, wrong: readonly string[]): string {
  const head = `    <testcase classname="${escaped(suite)}" name="${escaped(name)}"`;
  return wrong.length === 0 ? `${head}/>` : `${head}><failure message="${escaped(wrong.join('; '))}"/></testcase>`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Characters that XML cannot have become a space. */
function escaped(text: string): string {
  return text.replaceAll(/[\p{Cc}\ufffe\uffff]/gu, ' ').replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
