/** `iommud explore`: every order of a scenario's actors, or of every pair and triple of the built-in kinds of them. Needs no service. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { print } from '../output.ts';
import type { Job, JobResult } from './explore-job.ts';
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
import { runJobs } from './worker-pool.ts';

type SettingName = ScenarioRoom['SETTING_NAMES'][number];

interface Options {
  readonly orders?: string;
  readonly seed?: string;
  readonly jobs?: string;
  readonly machine?: string;
  readonly behaviour?: string;
  readonly withoutFix?: readonly string[];
  readonly first?: true;
  readonly out: string;
  readonly json?: true;
}

const ORDERS = 20_000;
const SEED = 1;
/** Orders of a set at least, where a run of many sets has few. */
const ORDERS_LEAST = 20;
/** Orders of a sampled set from which on it is taken for one whose orders all end alike. */
const ALIKE_LEAST = 1000;

export function registerExplore(program: Command): void {
  program
    .command('explore')
    .description(
      "run a scenario's actors in every order and look for a broken invariant; without a file, pairs and triples of built-in actors",
    )
    .argument('[file]', 'a text that begins with iommud.scenario/v1')
    .option('--orders <number>', `orders to run in all, about; ${ORDERS} when absent`)
    .option('--seed <number>', 'draws orders where there are too many')
    .option('--jobs <number>', 'worker threads; one for each core when absent')
    .option('--machine <name>', 'what the built-in actors act on: plain when absent, direct-regions, nested, or all')
    .option('--behaviour <name>', 'strict, linux-7.1 or linux-7.0, in place of what the file says')
    .option('--without-fix <commits...>', 'fixes of Linux to switch off')
    .option('--first', 'stop at the first set with a violation')
    .option('--out <folder>', 'where a failing order is written as a scenario', '.')
    .option('--json', 'print JSON')
    .action(exploreCommand);
}

interface Plan {
  readonly orders: number;
  readonly seed: number;
  readonly workers: number;
  readonly behaviour: Behaviour | undefined;
  readonly withoutFixes: readonly Fix[] | undefined;
}

async function exploreCommand(file: string | undefined, options: Options): Promise<void> {
  const room = await scenarioRoom();
  const plan: Plan = {
    orders: wholeNumber('--orders', options.orders, ORDERS),
    seed: wholeNumber('--seed', options.seed, SEED),
    workers: Math.max(1, wholeNumber('--jobs', options.jobs, availableParallelism())),
    behaviour: await behaviourOf(options.behaviour),
    withoutFixes: await fixesOf(options.withoutFix),
  };
  if (file !== undefined && options.machine !== undefined)
    throw new Exit(EXIT.usage, `--machine is of built-in actors; ${file} has its own`);
  const reasonOf =
    file === undefined ? builtIn(room, settingsOf(room, options.machine), plan) : new Map([[fromFile(file, room, plan), undefined]]);
  const results = await exploreAll([...reasonOf.keys()], plan, options.first === true);
  const failures = results.filter(({ explored }) => (explored?.violations ?? 0) > 0);
  if (failures.length > 0) mkdirSync(options.out, { recursive: true });
  for (const result of failures) writeFileSync(fileOf(options.out, result), failingText(room, result, plan, options.out));
  const reasons = new Map([...reasonOf].map(([{ name }, reason]) => [name, reason]));
  const unexplained =
    file !== undefined ? [] : results.filter((result) => isAlike(result) && isKnown(result) && reasons.get(result.name) === undefined);
  if (failures.length > 0 || unexplained.length > 0) process.exitCode = EXIT.failed;
  print(options.json, results.map(shownResult), () => report(results, reasons, options.out));
}

function settingsOf({ SETTING_NAMES }: ScenarioRoom, wanted = 'plain'): readonly SettingName[] {
  const names = SETTING_NAMES.filter((name) => wanted === 'all' || name === wanted);
  if (names.length === 0) throw new Exit(EXIT.usage, `--machine ${wanted}: it is one of ${SETTING_NAMES.join(', ')}, or all`);
  return names;
}

/** Every set on each of the machines, with why its orders all end alike, where they may. */
function builtIn(room: ScenarioRoom, machines: readonly SettingName[], plan: Plan): ReadonlyMap<Job, string | undefined> {
  const jobs = new Map<Job, string | undefined>();
  for (const machine of machines) {
    for (const kinds of room.sets()) {
      const name = `${machine === 'plain' ? '' : `${machine}: `}${kinds.join('+')}`;
      jobs.set(job(name, room.scenarioOf(kinds, machine), plan, {}), room.alikeReason(kinds, machine));
    }
  }
  return jobs;
}

function fromFile(file: string, room: ScenarioRoom, plan: Plan): Job {
  const { text, scenario } = readScenario(file, room);
  if (scenario.actors.length === 0) throw new Exit(EXIT.usage, `${file} has no actors: there is one order only, and "iommud run" runs it`);
  const files: Record<string, string> = {};
  const load = beside(file);
  inFile(file, () => room.machineOf(scenario, plan, (path) => (files[path] = load(path))));
  return job(scenario.title || file, text, plan, files);
}

function job(name: string, text: string, { seed, behaviour, withoutFixes }: Plan, files: Job['files']): Job {
  return { name, text, ordersMax: undefined, seed, behaviour, withoutFixes, files };
}

/** First how many orders each set has, then as many of each as the sum allows: small sets whole, of large ones equal shares. */
async function exploreAll(jobs: readonly Job[], plan: Plan, first: boolean): Promise<readonly JobResult[]> {
  const never = (): boolean => false;
  const fails = ({ explored }: JobResult): boolean => first && (explored?.violations ?? 0) > 0;
  if (jobs.length === 1)
    return runJobs(
      jobs.map((each) => ({ ...each, ordersMax: plan.orders })),
      1,
      never,
    );
  const share = first ? Math.max(ORDERS_LEAST, Math.floor(plan.orders / jobs.length)) : undefined;
  const ordersMax =
    share ??
    fairShare(
      (await runJobs(jobs, plan.workers, never)).map(({ estimate }) => estimate),
      plan.orders,
    );
  const results = [
    ...(await runJobs(
      jobs.map((each) => ({ ...each, ordersMax })),
      plan.workers,
      fails,
    )),
  ];
  const missing = plan.orders - results.reduce((sum, { explored }) => sum + (explored?.run ?? 0), 0);
  return missing > 0 && !first ? topUp(results, jobs, missing, plan) : results;
}

/** What the small sets left of the sum goes to the largest. */
async function topUp(results: readonly JobResult[], jobs: readonly Job[], missing: number, plan: Plan): Promise<readonly JobResult[]> {
  const sampled = jobs.filter((_, at) => results[at]?.explored?.exact === false);
  if (sampled.length === 0) return results;
  const ordersMax = Math.ceil(missing / sampled.length);
  const more = await runJobs(
    sampled.map((each) => ({ ...each, ordersMax, seed: plan.seed + 1 })),
    plan.workers,
    () => false,
  );
  return results.map((had) => {
    const got = more.find(({ name }) => name === had.name)?.explored;
    if (had.explored === undefined || got === undefined) return had;
    const { run, violations, failure } = had.explored;
    const endStates = new Set([...had.explored.endStates, ...got.endStates]);
    return {
      ...had,
      explored: {
        ...had.explored,
        run: run + got.run,
        violations: violations + got.violations,
        failure: failure ?? got.failure,
        endStates,
      },
    };
  });
}

/** The share with which the sum of all sets comes to `total`, none having more than it has orders. */
export function fairShare(estimates: readonly number[], total: number): number {
  let left = total;
  const sorted = estimates.toSorted((a, b) => a - b);
  for (const [at, estimate] of sorted.entries()) {
    const share = left / (sorted.length - at);
    if (estimate > share) return Math.max(ORDERS_LEAST, Math.ceil(share));
    left -= estimate;
  }
  return Math.max(ORDERS_LEAST, Math.ceil(sorted.at(-1) ?? total));
}

/** Of a few orders that end alike it is not said that all do. */
function isKnown({ explored }: JobResult): boolean {
  return explored !== undefined && (explored.exact || explored.run >= ALIKE_LEAST);
}

function isAlike({ explored }: JobResult): boolean {
  return explored?.violations === 0 && explored.endStates.size <= 1;
}

function report(results: readonly JobResult[], reasons: ReadonlyMap<string, string | undefined>, out: string): string {
  const lines: string[] = [];
  let orders = 0;
  let violations = 0;
  for (const result of results) {
    const { explored, name } = result;
    if (explored === undefined) continue;
    orders += explored.run;
    violations += explored.violations;
    const possible = `${explored.exact ? '' : 'about '}${number(explored.possible)}`;
    lines.push(`${name}: ${possible} orders possible, ${number(explored.run)} run, ${explored.endStates.size} end states`);
    if (isAlike(result) && results.length > 1)
      lines.push(`  all ${isKnown(result) ? '' : 'of these few '}end alike: ${reasons.get(name) ?? 'no reason is known'}`);
    const { failure } = explored;
    if (failure === undefined) continue;
    const what = failure.invariant === 0 ? failure.text : `invariant ${failure.invariant}: ${failure.text}`;
    lines.push(
      `  ${number(explored.violations)} violations; the shortest has ${failure.order.length} steps: ${what}`,
      `  iommud run ${fileOf(out, result)}`,
    );
  }
  lines.push('', `${number(orders)} orders, ${number(violations)} violations`);
  return lines.join('\n');
}

function shownResult({ name, explored, ms }: JobResult): object {
  return { name, ...explored, endStates: explored?.endStates.size, ms: Math.round(ms) };
}

function fileOf(out: string, { name }: JobResult): string {
  return join(out, `${name.replaceAll(/[^\w.+-]+/g, '-').slice(0, 100)}.scenario`);
}

function failingText(room: ScenarioRoom, result: JobResult, plan: Plan, out: string): string {
  return room.withOrder(result.text, result.explored?.failure?.order ?? [], plan, `repeat with: iommud run ${fileOf(out, result)}`);
}

function number(value: number): string {
  return Math.round(value).toLocaleString('en-US').replaceAll(',', '');
}
