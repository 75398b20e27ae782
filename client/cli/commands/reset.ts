/** `iommud reset`: Linux's resets of a function or of a bus, over the machine's socket. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BusResetReport, OnDeadline, ResetMethod, ResetReport, WindowReport } from '../../src/index.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

interface ResetCommandOptions extends ServiceOptions {
  readonly method?: ResetMethod;
  /** False with `--without-prepare`. */
  readonly withoutPrepare?: true;
  readonly deadline: number;
  readonly onDeadline: OnDeadline;
  readonly bus?: true;
  readonly slot?: true;
  readonly cold?: true;
  readonly try?: true;
  readonly methods?: true;
  readonly setMethods?: string;
}

export function registerReset(program: Command): void {
  talksToService(program.command('reset').description('reset a function: prepare, reset, done; or everything below a bridge'))
    .argument('<machine>', 'id or name')
    .argument('<bdf>', 'the function, 00:02.0')
    .option(
      '--method <name>',
      "one of Linux's names: device_specific, acpi, flr, af_flr, pm, bus, cxl_bus; without it those that are enabled",
    )
    .option('--without-prepare', 'with no window, as Linux before 7.0')
    .option('--deadline <ms>', "how long requests in flight may take to end, on the machine's clock", milliseconds, 100)
    .addOption(
      new Option('--on-deadline <what>', 'abort drops what is left then; fail puts everything back')
        .choices(['abort', 'fail'])
        .default('abort'),
    )
    .option('--try', 'EAGAIN where another reset is at work, instead of waiting')
    .addOption(new Option('--bus', 'everything below this bridge at once').conflicts(['method', 'withoutPrepare']))
    .addOption(new Option('--slot', "the same by the bridge's hot-plug slot").conflicts(['bus', 'method', 'withoutPrepare']))
    .addOption(
      new Option('--cold', 'power off and on below this port; nobody is asked').conflicts(['bus', 'slot', 'method', 'withoutPrepare']),
    )
    .option('--methods', 'reset nothing: list the methods that are enabled, in their order')
    .addOption(
      new Option('--set-methods <names>', 'reset nothing: enable these, "pm flr"; "default" or "" for all or none').conflicts('methods'),
    )
    .action(reset);
}

async function reset(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  if (options.methods === true || options.setMethods !== undefined) await methods(name, bdf, options);
  else if (options.cold === true) await coldReset(name, bdf, options);
  else if (options.bus === true || options.slot === true) await resetBus(name, bdf, options);
  else await resetFunction(name, bdf, options);
}

async function resetFunction(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  const { method, deadline, onDeadline } = options;
  const window = options.withoutPrepare !== true;
  const report = await onMachine(new Service(options), name, (machine) =>
    machine.function(bdf).reset({
      ...(method === undefined ? {} : { method }),
      window,
      deadlineMs: deadline,
      onDeadline,
      tryLock: options.try === true,
    }),
  );
  print(options.json, { function: bdf, ...report }, () => describe(bdf, window, report));
}

async function resetBus(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  const { deadline, onDeadline } = options;
  const report = await onMachine(new Service(options), name, (machine) =>
    machine.function(bdf).resetBus({ slot: options.slot === true, deadlineMs: deadline, onDeadline, tryLock: options.try === true }),
  );
  print(options.json, { bridge: bdf, ...report }, () => describeBus(bdf, report));
}

async function coldReset(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  const { elapsedMs } = await onMachine(new Service(options), name, (machine) => machine.function(bdf).coldReset());
  print(options.json, { port: bdf, elapsedMs }, () => `below ${bdf} power went off and on; what was there is to be set up anew`);
}

async function methods(name: string, bdf: string, options: ResetCommandOptions): Promise<void> {
  const { setMethods } = options;
  const found = await onMachine(new Service(options), name, async (machine) => {
    const fn = machine.function(bdf);
    if (setMethods !== undefined) return fn.setResetMethods(setMethods);
    return { methods: (await fn.info()).resetMethods, warning: undefined };
  });
  print(options.json, { function: bdf, methods: found.methods, warning: found.warning }, () =>
    [found.methods.join(' ') || 'none', ...(found.warning === undefined ? [] : [found.warning])].join('\n'),
  );
}

function describe(bdf: string, window: boolean, report: ResetReport): string {
  const lines = [`${bdf} was reset by ${report.method} in ${report.elapsedMs} ms of the machine's clock`];
  for (const { method, error } of report.tried ?? []) if (error !== undefined) lines.push(`  ${method} before it: ${error}`);
  if (!window) lines.push('  no window: nothing was drained and translation was not fenced');
  else lines.push(...describeWindow(report));
  if (report.pendingTimedOut === true) lines.push('  transactions were still pending after 700 ms');
  if (report.warning !== undefined) lines.push(`  ${report.warning}`);
  return lines.join('\n');
}

function describeBus(bdf: string, report: BusResetReport): string {
  const lines = [`below ${bdf} ${report.functions.join(', ')} were reset in ${report.elapsedMs} ms of the machine's clock`];
  if (report.skipped === true) lines.push('  no window: Linux opens none for a whole bus');
  else lines.push(...describeWindow(report));
  if (report.warning !== undefined) lines.push(`  ${report.warning}`);
  return lines.join('\n');
}

function describeWindow(report: WindowReport): readonly string[] {
  if (report.skipped === true) return ['  the window does nothing here (no IOMMU, or no ATS)'];
  return [
    `  drain: ${report.drained} ended, ${report.aborted} aborted, ${report.indeterminate} indeterminate`,
    `  fence: ${report.completed} invalidations completed, ${report.timedOut} timed out`,
  ];
}

function milliseconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value > 3_600_000) throw new InvalidArgumentError('It is not a number of milliseconds up to an hour.');
  return value;
}
