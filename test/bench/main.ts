/** `npm run bench -- [--only PATTERN] [--rounds N] [--json FILE] [--spinners latency|all|off] [--self]` */
import { closeSync, openSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SELF_MEASURES } from './floors/index.ts';
import { makeReport, runBench, tableHead, tableLine, writeReport, type BenchOptions, type Measure } from './harness/index.ts';

const USAGE = `usage: npm run bench -- [--only PATTERN] [--rounds N] [--json FILE] [--spinners latency|all|off] [--self]
  --only      a regular expression on "measure floor", such as config-read or 'dma-.*ws-echo'
  --rounds    9 unless told; a figure to publish needs 9 or more
  --json      writes {commit, cpu, node, rows}
  --spinners  low-priority processes that keep the cores awake: for rows that are times unless told
  --self      the floors against themselves instead of the measures`;

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    json: { type: 'string' },
    spinners: { type: 'string', default: 'latency' },
    self: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function readMeasures(): Promise<Measure[]> {
  const folder = new URL('measures/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
  const modules = await Promise.all(
    files.sort().map((name) => import(new URL(name, folder).href) as Promise<{ measures: readonly Measure[] }>),
  );
  return modules.flatMap((module) => [...module.measures]);
}

function isSpinners(text: string): text is BenchOptions['spinners'] {
  return text === 'latency' || text === 'all' || text === 'off';
}

/** Undefined for a pattern that is no regular expression. */
function patternOf(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

const rounds = Number(args.rounds);
const only = patternOf(args.only ?? '');
if (only === undefined || args.help || !Number.isSafeInteger(rounds) || rounds < 1 || !isSpinners(args.spinners)) {
  console.error(USAGE);
  process.exit(args.help ? 0 : 2);
}

// Found out now and not when everything has been measured.
if (args.json !== undefined) {
  try {
    closeSync(openSync(args.json, 'a'));
  } catch (error) {
    console.error(`cannot write ${args.json}: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}

let skipped = 0;
const report = makeReport(
  await (async () => {
    console.log(tableHead());
    return runBench(args.self ? SELF_MEASURES : await readMeasures(), {
      rounds,
      spinners: args.spinners as BenchOptions['spinners'],
      only,
      onRow: (row, spinners) => console.log(tableLine(row, spinners)),
      onSkip: ({ name, floor }, why) => {
        skipped++;
        console.log(`${name} ${floor} skipped: ${why}`);
      },
    });
  })(),
);
console.log(`\n${report.cpu}, Node ${report.node}, commit ${report.commit}`);
if (report.rows.length + skipped === 0) {
  console.error(`no measure matches ${args.only ?? ''}`);
  process.exit(2);
}
if (args.json !== undefined) writeReport(args.json, report);
