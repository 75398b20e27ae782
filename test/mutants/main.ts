/** `npm run test:mutants -- [--only PATTERN] [--own]`: each seeded defect must be found by a conformance test of its own invariant. */
import { parseArgs } from 'node:util';
import type { Defect } from './defect.ts';
import { DEFECTS } from './table.ts';
import { invariantOf, judge, type TestResult, type Verdict } from './verdict.ts';
import { WorkingCopy } from './working-copy.ts';

const USAGE = `usage: npm run test:mutants -- [--only PATTERN] [--own]
  --only   a regular expression on "invariant file why", such as '^9 ' or fence.ts
  --own    runs only the files that have tests of the defect's own invariant, and does not say what the defect does to others`;
/** Ends the runs, and with them this program, after it has removed its copies. */
const stop = new AbortController();

interface Choice {
  readonly defects: readonly Defect[];
  readonly own: boolean;
}

function chosen(): Choice {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, own: { type: 'boolean', default: false } } });
  const pattern = new RegExp(values.only);
  const defects = DEFECTS.filter((defect) => pattern.test(`${defect.invariant} ${defect.file} ${defect.why}`));
  if (defects.length === 0) throw new Error(`no defect matches ${values.only}`);
  return { defects, own: values.own };
}

/** Throws where the tests fail without any defect: nothing could be said of one then. */
async function greenTests(copy: WorkingCopy): Promise<readonly TestResult[]> {
  const tests = await copy.conformance();
  const red = tests.filter((test) => test.status !== 'passed');
  if (tests.length === 0 || red.length > 0) {
    throw new Error(
      `without a defect, ${red.length} of ${tests.length} conformance tests fail: ${red.map(({ title }) => title).join(', ')}`,
    );
  }
  return tests;
}

interface Among {
  readonly tests: readonly TestResult[];
  readonly own: boolean;
}

/** Those that have a test of the invariant. */
function filesOf(invariant: number, tests: readonly TestResult[]): readonly string[] {
  return [...new Set(tests.filter(({ title }) => invariantOf(title) === invariant).map(({ file }) => file))];
}

async function tryOut(copy: WorkingCopy, defect: Defect, { tests, own }: Among): Promise<Verdict> {
  const files = own ? filesOf(defect.invariant, tests) : [];
  const expected = own ? tests.filter(({ file }) => files.includes(file)).length : tests.length;
  try {
    return await copy.with(defect, async () => {
      const typeError = await copy.typeError();
      if (typeError !== undefined) return { killed: false, text: `does not type-check: ${typeError}` };
      return judge(defect.invariant, await copy.conformance(files), { expected, all: !own });
    });
  } catch (error) {
    if (stop.signal.aborted) throw error;
    return { killed: false, text: messageOf(error) };
  }
}

/** How many of the defects were killed. */
async function tryAll(copies: readonly WorkingCopy[], defects: readonly Defect[], among: Among): Promise<number> {
  const waiting = [...defects];
  let killed = 0;
  // Both end before a failure of one is thrown: the copies are removed then.
  const ends = await Promise.allSettled(
    copies.map(async (copy) => {
      for (let defect = waiting.shift(); defect !== undefined; defect = waiting.shift()) {
        const verdict = await tryOut(copy, defect, among);
        if (verdict.killed) killed++;
        const { invariant, file, why } = defect;
        console.log(`${verdict.killed ? 'ok  ' : 'FAIL'}  ${String(invariant).padStart(2)}  ${file}: ${why}\n          ${verdict.text}`);
      }
    }),
  );
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return killed;
}

/** Numbers that tests have and no defect: such tests may hold whatever the code does. */
function unproven(tests: readonly TestResult[]): readonly number[] {
  const numbers = new Set(tests.map((test) => invariantOf(test.title)).filter((number) => number !== undefined));
  for (const { invariant } of DEFECTS) numbers.delete(invariant);
  return [...numbers].sort((a, b) => a - b);
}

/** True when every one of these defects was killed, and every invariant that has a test has one. */
async function run({ defects, own }: Choice): Promise<boolean> {
  // Two at a time: as many cores as CI has.
  using first = new WorkingCopy(stop.signal);
  using second = new WorkingCopy(stop.signal);
  const tests = await greenTests(first);
  const without = unproven(tests);
  if (without.length > 0) console.log(`FAIL  no defect for invariant ${without.join(', ')}`);
  const killed = await tryAll([first, second], defects, { tests, own });
  console.log(`${defects.length} mutants, ${killed} killed`);
  return killed === defects.length && without.length === 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function choose(): Choice {
  try {
    return chosen();
  } catch (error) {
    console.error(`${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
try {
  if (!(await run(choose()))) process.exitCode = 1;
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}
