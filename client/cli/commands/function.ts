/** `iommud function`: functions that come and go while a machine runs, over its socket. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { PlugOptions, UnplugReport } from '../../src/index.ts';
import { EXIT, Exit } from '../exit.ts';
import { readInput } from '../input.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

interface PlugCommandOptions extends ServiceOptions {
  readonly port?: string;
  readonly address?: string;
  readonly model?: string;
}

interface UnplugCommandOptions extends ServiceOptions {
  readonly surprise?: true;
  readonly deadline?: number;
}

export function registerFunction(program: Command): void {
  const fn = program.command('function').description('plug functions in, and take them out');
  talksToService(fn.command('plug').description('plug functions in; returns when they answer'))
    .argument('<machine>', 'id or name')
    .argument('[file]', 'with "functions" as in a topology; - is standard input')
    .option('--port <bdf>', 'the root or downstream port whose slot they come into; else where their addresses say')
    .option('--address <place>', 'one function in place of a file: 01:00.0, with --port also 00.0')
    .option('--model <name>', 'dma-probe, when absent; edu, remote, ...')
    .action(plug);
  talksToService(fn.command('unplug').description('take a function out, with what is below it; of a port what is below'))
    .argument('<machine>', 'id or name')
    .argument('<bdf>', 'the function, 01:00.0, or the port')
    .addOption(new Option('--deadline <ms>', "how long what is in flight may take to end, on the machine's clock").argParser(milliseconds))
    .addOption(new Option('--surprise', 'pulled out: its link is down at once').conflicts('deadline'))
    .action(unplug);
}

async function plug(name: string, file: string | undefined, options: PlugCommandOptions): Promise<void> {
  const { port } = options;
  const plugged: PlugOptions = { ...(port === undefined ? {} : { port }), functions: functionsOf(file, options) };
  const report = await onMachine(new Service(options), name, (machine) => machine.plug(plugged));
  print(options.json, report, () => `plugged in ${report.functions.join(', ')} in ${report.elapsedMs} ms of the machine's clock`);
}

function functionsOf(file: string | undefined, { address, model }: PlugCommandOptions): PlugOptions['functions'] {
  if (file === undefined && address !== undefined) return [{ address, model: model ?? 'dma-probe' }];
  if (file !== undefined && address === undefined && model === undefined) return readInput(file);
  throw new Exit(EXIT.usage, 'say what is plugged in: by a file, or by --address and --model');
}

async function unplug(name: string, bdf: string, options: UnplugCommandOptions): Promise<void> {
  const { surprise, deadline } = options;
  const report = await onMachine(new Service(options), name, (machine) =>
    machine.function(bdf).unplug({ ...(surprise ? { surprise } : {}), ...(deadline === undefined ? {} : { deadlineMs: deadline }) }),
  );
  print(options.json, report, () => describe(report, surprise === true));
}

function describe({ functions, drained, aborted, completed, timedOut, elapsedMs }: UnplugReport, surprise: boolean): string {
  return [
    `${surprise ? 'pulled out' : 'took out'} ${functions.join(', ')} in ${elapsedMs} ms of the machine's clock`,
    `  in flight: ${drained} ended, ${aborted} aborted`,
    `  invalidations: ${completed} completed, ${timedOut} timed out`,
  ].join('\n');
}

function milliseconds(text: string): number {
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It is not a number of milliseconds.');
  return Number(text);
}
