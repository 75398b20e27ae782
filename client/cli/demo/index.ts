import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import { atcSurvives, withWindow, withoutWindow } from './acts.ts';
import { BEHAVIOURS, FAULTS, METHODS, chosen, type Choice } from './choice.ts';
import { loadDoors } from './stage.ts';

interface DemoOptions {
  readonly seed: string;
  readonly method?: string;
  readonly fault?: string;
  readonly behaviour?: string;
  readonly json?: boolean;
}

/** A function that is not compliant, in acts of its own. */
const ATC_SURVIVES = 'atc-survives';

/** `iommud demo`: exit code 1 when something that it claims did not happen, 2 for a wrong option. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('a function is reset while its DMA is in flight: without the window, and with it')
    .option('--seed <number>', 'the run is the same for the same seed', '7')
    .addOption(new Option('--method <name>', 'how it is reset').choices(METHODS))
    .addOption(
      new Option('--fault <name>', `what is wrong with it; ${ATC_SURVIVES} (not compliant) is told in acts of its own`).choices([
        ...FAULTS,
        ATC_SURVIVES,
      ]),
    )
    .addOption(new Option('--behaviour <name>', 'what both acts are told on').choices(BEHAVIOURS))
    .option('--json', 'the acts as JSON')
    .action(async (options: DemoOptions, command: Command) => {
      const seed = options.seed.trim() === '' ? Number.NaN : Number(options.seed);
      if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff)
        command.error(`--seed ${options.seed} is not a number from 0 to 4294967295`);
      const { method, fault, behaviour } = options;
      if (fault === ATC_SURVIVES && (method ?? behaviour) !== undefined)
        command.error(`--fault ${ATC_SURVIVES} is told by flr on linux-7.1 only: leave --method and --behaviour out`);
      const acts = await (isChoice(options) ? playChoice(seed, choiceOf(options)) : play(seed, fault === ATC_SURVIVES));
      // Before anything is written: whoever reads may stop in the middle of it.
      if (!acts.every(holds)) process.exitCode = 1;
      const verdict = { holds: acts.every(holds), failed: failedClaims(acts) };
      process.stdout.write(options.json === true ? `${JSON.stringify({ seed, acts, verdict }, undefined, 2)}\n` : format(seed, acts));
    });
}

function isChoice({ method, fault, behaviour }: DemoOptions): boolean {
  return method !== undefined || behaviour !== undefined || (fault !== undefined && fault !== ATC_SURVIVES);
}

function choiceOf({ method, fault, behaviour }: DemoOptions): Choice {
  return {
    method: METHODS.find((one) => one === method) ?? 'flr',
    fault: FAULTS.find((one) => one === fault) ?? 'none',
    behaviour: BEHAVIOURS.find((one) => one === behaviour) ?? 'strict',
  };
}

export async function play(seed: number, atcSurvivesToo: boolean): Promise<readonly Act[]> {
  const doors = await loadDoors();
  const acts = [withoutWindow(doors, seed), withWindow(doors, seed)];
  return atcSurvivesToo ? [...acts, atcSurvives(doors, seed, false), atcSurvives(doors, seed, true)] : acts;
}

/** The same story without the window and with it, by what was chosen. */
export async function playChoice(seed: number, choice: Choice): Promise<readonly Act[]> {
  const doors = await loadDoors();
  return [chosen(doors, seed, choice, false), chosen(doors, seed, choice, true)];
}

export function holds(act: Act): boolean {
  return act.claims.every((claim) => claim.holds);
}

function failedClaims(acts: readonly Act[]): readonly string[] {
  return acts.flatMap((act) => act.claims.filter((claim) => !claim.holds).map((claim) => claim.text));
}

export function format(seed: number, acts: readonly Act[]): string {
  const parts = acts.map((act, i) => formatAct(i + 1, act));
  const failed = failedClaims(acts);
  const verdict =
    failed.length === 0
      ? 'VERDICT: everything above happened.'
      : `VERDICT: ${failed.length} of the claims did not hold: ${failed.join('; ')}.`;
  return `${parts.join('\n')}\n${verdict} Seed ${seed}; virtual time only.\n`;
}

function formatAct(number: number, act: Act): string {
  const lines = act.lines.map((line) => `${line.timeMs.toFixed(3).padStart(10)} ms  ${line.text}`);
  const counts = Object.entries(act.counts).map(([name, count]) => `  ${String(count).padStart(3)}  ${name}`);
  const claims = act.claims.map((claim) => `  ${claim.holds ? 'yes' : 'NO '}  ${claim.text}`);
  return [
    `Act ${number}. ${act.title} (behaviour ${act.behaviour}, trace ${act.traceHash})`,
    '',
    ...lines,
    '',
    ...counts,
    '',
    ...claims,
    '',
  ].join('\n');
}
