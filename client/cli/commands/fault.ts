/** `iommud fault`: faults on purpose of a machine, over its socket. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ArmOptions, FaultKind, HoldPoint, Machine, MemoryError, MemoryFaultKind } from '../../src/index.ts';
import { EXIT, Exit } from '../exit.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

interface ArmCommandOptions extends ServiceOptions, Pick<ArmOptions, 'first' | 'count'> {
  readonly function?: string;
  readonly at?: HoldPoint;
  readonly delay?: number;
  readonly from?: number;
  readonly until?: number;
  readonly address?: bigint;
  readonly bytes?: bigint;
  readonly error?: MemoryError;
  readonly hosts?: boolean;
}

const MEMORY_FAULTS: readonly string[] = ['memory-errors', 'memory-stalls'] satisfies MemoryFaultKind[];

export function registerFault(program: Command): void {
  const fault = program.command('fault').description('faults on purpose: arm, list and clear them');
  talksToService(fault.command('arm').description('arm a fault; prints its number'))
    .argument('<machine>', 'id or name')
    .argument('<kind>', 'late-completions, surprise-down, memory-errors, ...: docs/errors-and-recovery.md')
    .option('--function <bdf>', 'whose; of a fault of memory only where it is not to act on every function')
    .option('--first <n>', 'the first occurrence that it acts on', wholeNumber)
    .option('--count <n>', 'on how many; 0 without end', wholeNumber)
    .addOption(new Option('--at <point>', 'of hold').choices(['issued', 'translated', 'performed']))
    .option('--delay <ms>', 'of what comes late', milliseconds)
    .option('--from <ms>', "in force from then on the machine's clock", milliseconds)
    .option('--until <ms>', 'and until then', milliseconds)
    .option('--address <address>', 'of memory: physical', address)
    .option('--bytes <n>', 'of memory: how many from there', address)
    .option('--hosts', 'of memory of no one function: what hosts read and write too')
    .addOption(new Option('--error <how>', 'of memory-errors').choices(['unsupported-request', 'completer-abort', 'poisoned']))
    .action(arm);
  talksToService(fault.command('list').description('list what is armed')).argument('<machine>', 'id or name').action(list);
  talksToService(fault.command('clear').description('take a fault away by its number, or all'))
    .argument('<machine>', 'id or name')
    .argument('[number]', 'from list; all when absent', wholeNumber)
    .action(clear);
}

async function arm(name: string, kind: string, options: ArmCommandOptions): Promise<void> {
  const armed = await onMachine(new Service(options), name, (machine) => armOn(machine, kind, options));
  print(options.json, { armed }, () => `armed ${armed}`);
}

function armOn(machine: Machine, kind: string, options: ArmCommandOptions): Promise<number> {
  const { function: bdf, at, delay, from, until, address: base, bytes, error } = options;
  const common = {
    ...given('first', options.first),
    ...given('count', options.count),
    ...given('delayMs', delay),
    ...given('fromMs', from),
    ...given('untilMs', until),
  };
  if (MEMORY_FAULTS.includes(kind)) {
    if (base === undefined || bytes === undefined) throw new Exit(EXIT.usage, `${kind} needs --address and --bytes`);
    const of = bdf === undefined ? {} : { function: machine.function(bdf) };
    return machine.armed.armMemory(kind as MemoryFaultKind, {
      ...common,
      ...of,
      ...given('error', error),
      ...given('hosts', options.hosts),
      address: base,
      bytes,
    });
  }
  if (bdf === undefined) throw new Exit(EXIT.usage, `${kind} needs --function`);
  return machine.function(bdf).faults.arm(kind as Exclude<FaultKind, MemoryFaultKind>, { ...common, ...given('point', at) });
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [_ in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [_ in K]: V });
}

async function list(name: string, options: ServiceOptions): Promise<void> {
  const faults = await onMachine(new Service(options), name, (machine) => machine.armed.list());
  const json = faults.map((each) => ({
    ...each,
    address: each.address === undefined ? null : `0x${each.address.toString(16)}`,
    bytes: each.bytes === undefined ? null : Number(each.bytes),
  }));
  print(options.json, json, () =>
    faults.length === 0 ? 'nothing is armed' : faults.map(({ armed, text }) => `${armed}  ${text}`).join('\n'),
  );
}

async function clear(name: string, number: number | undefined, options: ServiceOptions): Promise<void> {
  const cleared = await onMachine(new Service(options), name, async (machine) => {
    const numbers = number === undefined ? (await machine.armed.list()).map(({ armed }) => armed) : [number];
    for (const one of numbers) await machine.armed.disarm(one);
    return numbers;
  });
  print(options.json, { cleared }, () => `cleared ${cleared.length === 0 ? 'nothing' : cleared.join(', ')}`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It is not a whole number.');
  return Number(text);
}

function milliseconds(text: string): number {
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It is not a number of milliseconds.');
  return Number(text);
}

function address(text: string): bigint {
  if (!/^(0x[\da-f]{1,16}|\d{1,19})$/i.test(text)) throw new InvalidArgumentError('It is not a number, decimal or with 0x.');
  return BigInt(text);
}
