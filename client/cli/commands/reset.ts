/** `iommud reset`: the whole of Linux's pci_reset_function, over the machine's socket. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { OnDeadline, ResetMethod, ResetReport } from '../../src/index.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

interface ResetCommandOptions extends ServiceOptions {
  readonly method: ResetMethod;
  /** False with `--without-prepare`. */
  readonly withoutPrepare?: true;
  readonly deadline: number;
  readonly onDeadline: OnDeadline;
}

export function registerReset(program: Command): void {
  talksToService(program.command('reset').description('reset a function: prepare, reset, done'))
    .argument('<machine>', 'id or name')
    .argument('<bdf>', 'the function, 00:02.0')
    .option('--method <name>', "one of Linux's names: device_specific, acpi, flr, af_flr, pm, bus, cxl_bus", 'flr')
    .option('--without-prepare', 'with no window, as Linux before 7.0')
    .option('--deadline <ms>', "how long requests in flight may take to end, on the machine's clock", milliseconds, 100)
    .addOption(
      new Option('--on-deadline <what>', 'abort drops what is left then; fail puts everything back')
        .choices(['abort', 'fail'])
        .default('abort'),
    )
    .action(reset);
}

async function reset(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  const { method, deadline, onDeadline } = options;
  const window = options.withoutPrepare !== true;
  const report = await onMachine(new Service(options), name, (machine) =>
    machine.function(bdf).reset({ method, window, deadlineMs: deadline, onDeadline }),
  );
  print(options.json, { function: bdf, ...report }, () => describe(bdf, window, report));
}

function describe(bdf: string, window: boolean, report: ResetReport): string {
  const lines = [`${bdf} was reset by ${report.method} in ${report.elapsedMs} ms of the machine's clock`];
  if (!window) lines.push('  no window: nothing was drained and translation was not fenced');
  else if (report.skipped === true) lines.push('  the window does nothing here (no IOMMU, or no ATS)');
  else {
    lines.push(`  drain: ${report.drained} ended, ${report.aborted} aborted, ${report.indeterminate} indeterminate`);
    lines.push(`  fence: ${report.completed} invalidations completed, ${report.timedOut} timed out`);
  }
  if (report.pendingTimedOut === true) lines.push('  transactions were still pending after 700 ms');
  if (report.warning !== undefined) lines.push(`  ${report.warning}`);
  return lines.join('\n');
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > 3_600_000) throw new InvalidArgumentError('It is not a number of milliseconds up to an hour.');
  return value;
}
