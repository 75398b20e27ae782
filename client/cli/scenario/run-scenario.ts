/** `iommud run`: a scenario file, told to a machine in this process. Needs no service. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { EXIT } from '../exit.ts';
import { print, table } from '../output.ts';
import { junit } from './junit.ts';
import {
  behaviourOf,
  beside,
  fixesOf,
  inFile,
  readScenario,
  scenarioRoom,
  wholeNumber,
  type Behaviour,
  type Fix,
  type ScenarioRoom,
} from './scenario-room.ts';

export type RunResult = ReturnType<ScenarioRoom['runScenario']>;
type Done = RunResult['done'][number];

interface Options {
  readonly seed?: string;
  readonly behaviour?: string;
  readonly withoutFix?: readonly string[];
  readonly compare?: string;
  readonly junit?: string;
  readonly json?: true;
}

export function registerRun(program: Command): void {
  program
    .command('run')
    .description('run a scenario file and say what is otherwise than it expects')
    .argument('<file>', 'a text that begins with iommud.scenario/v1; - is standard input')
    .option('--seed <number>', 'draws the order in which its actors go on, where the file has none')
    .option('--behaviour <name>', 'strict, linux-7.1 or linux-7.0, in place of what the file says')
    .option('--without-fix <commits...>', 'fixes of Linux to switch off')
    .option('--compare <behaviours>', 'run it with each of these, and print the outcomes side by side')
    .option('--junit <file>', 'write a JUnit report')
    .option('--json', 'print JSON')
    .action(run);
}

async function run(file: string, options: Options): Promise<void> {
  const room = await scenarioRoom();
  const { scenario } = readScenario(file, room);
  const seed = options.seed === undefined ? undefined : wholeNumber('--seed', options.seed, 0);
  const withoutFixes = await fixesOf(options.withoutFix);
  const told = (behaviour: Behaviour | undefined, fixes: readonly Fix[] | undefined): RunResult =>
    inFile(file, () =>
      room.runScenario(scenario, { behaviour, seed, withoutFixes: fixes, load: beside(file), shuffle: seed !== undefined }),
    );
  if (options.compare !== undefined) {
    const results: RunResult[] = [];
    for (const name of options.compare.split(',')) results.push(told(await behaviourOf(name.trim()), withoutFixes));
    print(options.json, results.map(shown), () => sideBySide(results));
    return;
  }
  const result = told(await behaviourOf(options.behaviour), withoutFixes);
  if (options.junit !== undefined) writeFileSync(options.junit, junit(file, result));
  if (!result.passed) process.exitCode = EXIT.failed;
  print(options.json, shown(result), () => report(file, result));
}

function shown({ done, ...rest }: RunResult): object {
  return {
    ...rest,
    statements: done.map(({ statement, outcome, wrong }) => ({ line: statement.line, text: statement.text, ...outcome, wrong })),
  };
}

function report(file: string, result: RunResult): string {
  const lines = result.done.map(
    (done) => `${done.wrong.length === 0 ? '  ' : '✗ '}${`${done.statement.line}`.padStart(3)}  ${bare(done)}  → ${outcomeText(done)}`,
  );
  for (const { statement, wrong } of result.done) for (const text of wrong) lines.push(`${file}:${statement.line}: ${text}`);
  for (const { invariant, text } of result.violations) lines.push(`${file}: ${invariant === 0 ? '' : `invariant ${invariant}: `}${text}`);
  const expected = result.done.filter(({ statement }) => statement.expect !== undefined);
  const good = expected.filter(({ wrong }) => wrong.length === 0).length;
  const seed = result.order.length > 0 ? `, seed ${result.seed}` : '';
  lines.push(
    '',
    `${result.passed ? 'passed' : 'failed'}: ${result.title || file} (${result.behaviour}${seed}): ${good} of ${expected.length} expectations, ${result.violations.length} invariants broken`,
  );
  return lines.join('\n');
}

/** The statement without what it expects. */
function bare({ statement }: Done): string {
  return statement.text.replace(/\s*=>.*$/, '');
}

/** The word, and the fields that the statement asks for. */
function outcomeText({ statement, outcome }: Done): string {
  const fields = [...(statement.expect?.fields.keys() ?? [])].map((name) => `${name}=${outcome.fields[name] ?? '?'}`);
  return [outcome.word, ...fields].join(' ');
}

/** One row a statement; ≠ where the behaviours come to different things, with the fields in which they do. */
function sideBySide(results: readonly RunResult[]): string {
  const [first] = results;
  if (first === undefined) return '';
  const rows: string[][] = [];
  const count = Math.max(...results.map(({ done }) => done.length));
  for (let at = 0; at < count; at++) {
    const each = results.map(({ done }) => done[at]);
    const known = each.find((done) => done !== undefined);
    if (known === undefined) continue;
    const names = [...new Set(each.flatMap((done) => Object.keys(done?.outcome.fields ?? {})))];
    const differing = names.filter((name) => new Set(each.map((done) => done?.outcome.fields[name])).size > 1);
    const differ = differing.length > 0 || new Set(each.map((done) => done?.outcome.word)).size > 1;
    const cells = each.map((done) =>
      done === undefined ? '-' : [done.outcome.word, ...differing.map((name) => `${name}=${done.outcome.fields[name] ?? '-'}`)].join(' '),
    );
    rows.push([differ ? '≠' : '', `${known.statement.line}`, bare(known), ...cells]);
  }
  const broken = results.map(({ violations }) => violations.map(({ invariant }) => invariant).join(' ') || 'none');
  rows.push(['', '', 'invariants broken', ...broken]);
  return table(['', 'line', 'statement', ...results.map(({ behaviour }) => behaviour)], rows);
}
