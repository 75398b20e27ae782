/**
 * `npm run test:explorer -- [--only PATTERN]`: `iommud explore` must find, by itself, each fix of Linux that is switched off, and each seeded defect of an
 * invariant that a race can break.
 */
import { parseArgs } from 'node:util';
import { FIX_NAMES } from '../../server/src/core/machine/index.ts';
import type { Defect } from './defect.ts';
import { DEFECTS } from './table.ts';
import { WorkingCopy } from './working-copy.ts';

/** Invariants that are about what happens meanwhile. */
const OF_RACES = (invariant: number): boolean => (invariant >= 7 && invariant <= 20) || invariant === 42 || invariant === 43;
/** Some of each set, in the behaviour that gates and in the one that does not; more where these find nothing. */
const ATTEMPTS: readonly (readonly string[])[] = [
  ['--orders', '6000'],
  ['--orders', '6000', '--behaviour', 'linux-7.1'],
  ['--orders', '60000'],
  ['--orders', '60000', '--behaviour', 'linux-7.1'],
  ['--orders', '200000', '--behaviour', 'linux-7.1'],
];

interface Hunt {
  readonly name: string;
  readonly defect: Defect | undefined;
  readonly args: readonly string[];
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const pattern = new RegExp(values.only);
const hunts: readonly Hunt[] = [
  ...FIX_NAMES.map((fix) => ({ name: `without ${fix}`, defect: undefined, args: ['--without-fix', fix] })),
  ...DEFECTS.filter(({ invariant }) => OF_RACES(invariant)).map((defect) => ({
    name: `${defect.invariant} ${defect.file}: ${defect.why}`,
    defect,
    args: defect.machine === undefined ? [] : ['--machine', defect.machine],
  })),
].filter(({ name }) => pattern.test(name));

/** With what it was found, and what was. */
async function explore(copy: WorkingCopy, args: readonly string[]): Promise<string | undefined> {
  for (const attempt of ATTEMPTS) {
    const { found, output } = await copy.explore([...attempt, ...args]);
    const what = output.split('\n').find((line) => line.includes('the shortest has'));
    if (found && what !== undefined) return `${[...attempt, ...args].join(' ')}: ${what.trim()}`;
  }
  return undefined;
}

async function hunt(copy: WorkingCopy, { defect, args }: Hunt): Promise<string | undefined> {
  return defect === undefined ? explore(copy, args) : copy.with(defect, () => explore(copy, args));
}

/** How many were found. */
async function huntAll(copies: readonly WorkingCopy[]): Promise<number> {
  const waiting = [...hunts];
  let found = 0;
  const ends = await Promise.allSettled(
    copies.map(async (copy) => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const what = await hunt(copy, next);
        if (what !== undefined) found++;
        console.log(`${what === undefined ? 'FAIL' : 'ok  '}  ${next.name}\n          ${what ?? 'not found'}`);
      }
    }),
  );
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return found;
}

try {
  using first = new WorkingCopy(stop.signal);
  using second = new WorkingCopy(stop.signal);
  const found = await huntAll([first, second]);
  console.log(`${hunts.length} defects, ${found} found by exploring`);
  if (found !== hunts.length || hunts.length === 0) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
