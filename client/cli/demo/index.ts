import type { Command } from 'commander';
import { atcSurvives, withWindow, withoutWindow, type Act } from './acts.ts';
import { loadDoors } from './stage.ts';

interface DemoOptions {
  readonly seed: string;
  readonly fault?: string;
  readonly json?: boolean;
}

/** `iommud demo`: exit code 1 when something that it claims did not happen, 2 for a wrong option. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('a function is reset while its DMA is in flight: without the window, and with it')
    .option('--seed <number>', 'the run is the same for the same seed', '7')
    .option('--fault <name>', 'a third act: atc-survives (a function that is not compliant)')
    .option('--json', 'the acts as JSON')
    .action(async (options: DemoOptions, command: Command) => {
      const seed = options.seed.trim() === '' ? Number.NaN : Number(options.seed);
      if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff)
        command.error(`--seed ${options.seed} is not a number from 0 to 4294967295`);
      if (options.fault !== undefined && options.fault !== 'atc-survives')
        command.error(`--fault ${options.fault}: the one fault is atc-survives`);
      const acts = await play(seed, options.fault !== undefined);
      // Before anything is written: whoever reads may stop in the middle of it.
      if (!acts.every(holds)) process.exitCode = 1;
      const verdict = { holds: acts.every(holds), failed: failedClaims(acts) };
      process.stdout.write(options.json === true ? `${JSON.stringify({ seed, acts, verdict }, undefined, 2)}\n` : format(seed, acts));
    });
}

export async function play(seed: number, fault: boolean): Promise<readonly Act[]> {
  const doors = await loadDoors();
  const acts = [withoutWindow(doors, seed), withWindow(doors, seed)];
  return fault ? [...acts, atcSurvives(doors, seed, false), atcSurvives(doors, seed, true)] : acts;
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
