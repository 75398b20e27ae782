/** What the conformance tests say of a defect. */

/** One test of vitest's JSON report. */
export interface TestResult {
  /** Below the repository. */
  readonly file: string;
  readonly title: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

export interface Verdict {
  readonly killed: boolean;
  /** The test that found it and the share of other tests that stayed green; else what is wrong. */
  readonly text: string;
}

/** A defect that takes everything down proves nothing of the test that should see it. */
const OTHERS_GREEN_MIN = 0.75;

/** The invariant that a test is of; undefined for one that has no number. */
export function invariantOf(title: string): number | undefined {
  const number = /^(\d+) /.exec(title)?.[1];
  return number === undefined ? undefined : Number(number);
}

/**
 * Killed: a test of the invariant's own number failed by what it asserts, and at least three quarters of the tests of other numbers passed.
 * `among`: how many tests there are without a defect, and whether those are all; of some nothing is said of the others.
 */
export function judge(
  invariant: number,
  tests: readonly TestResult[],
  among: { readonly expected: number; readonly all: boolean },
): Verdict {
  if (tests.length !== among.expected) return alive(`${tests.length} of ${among.expected} tests ran`);
  const failed = tests.filter((test) => test.status === 'failed');
  const own = failed.filter((test) => invariantOf(test.title) === invariant);
  const killer = own.find((test) => isAssertion(test));
  if (killer === undefined) return alive(whyNot(failed, own));
  const others = tests.filter((test) => invariantOf(test.title) !== invariant);
  if (!among.all) return { killed: true, text: `"${killer.title}"` };
  const green = others.filter((test) => test.status === 'passed').length / others.length;
  const text = `${Math.floor(green * 100)} % of the others green; "${killer.title}"`;
  return green >= OTHERS_GREEN_MIN ? { killed: true, text } : alive(`takes too much down: ${text}`);
}

function whyNot(failed: readonly TestResult[], own: readonly TestResult[]): string {
  const [crashed] = own;
  if (crashed !== undefined) return `"${crashed.title}" failed by no assertion: ${firstLine(crashed)}`;
  if (failed.length === 0) return 'survives: every test is green';
  return `killed only by others: ${failed.map((test) => `"${test.title}"`).join(', ')}`;
}

/** An assertion of a test. Core has assertions of its own under the same name: one that fails there is a crash. */
function isAssertion(test: TestResult): boolean {
  const message = test.failureMessages[0] ?? '';
  return message.startsWith('AssertionError') && !message.includes('server/src/core/');
}

function firstLine(test: TestResult): string {
  return (test.failureMessages[0] ?? '').split('\n')[0] ?? '';
}

function alive(text: string): Verdict {
  return { killed: false, text };
}
