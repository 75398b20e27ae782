/** `iommud machine`: make, list, show, save, load and delete machines. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readBytes, readInput } from '../input.ts';
import { print, table, warn, writeOutput } from '../output.ts';
import { Service, machinePath, talksToService, type ServiceOptions } from '../service.ts';

/** What REST says of a machine. */
interface Machine {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly seed: number;
  readonly clock: string;
  readonly behaviour: string;
  readonly withoutFixes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly functions: number;
  readonly iommu: boolean;
  readonly sessions: number;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly warnings: readonly string[];
  readonly socketUrl: string;
}

interface CreateOptions extends ServiceOptions {
  readonly lspci?: string;
  readonly topology?: string;
  readonly preset?: string;
  readonly name?: string;
  readonly seed?: number;
  readonly clock?: string;
  readonly behaviour?: string;
  readonly withoutFix: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly ttl?: number;
}

export function registerMachine(program: Command): void {
  const machine = program.command('machine').description('make, list, show, save, load and delete machines');
  talksToService(machine.command('create').description('make a machine; from preset basic when nothing is said'))
    .addOption(new Option('--lspci <file>', 'from what lspci -xxxx printed; - is standard input').conflicts(['topology', 'preset']))
    .addOption(new Option('--topology <file>', 'from a topology document; - is standard input').conflicts('preset'))
    .option('--preset <name>', 'basic, switch, no-iommu or siblings')
    .option('--name <name>', 'no other machine may have it')
    .option('--seed <number>', 'all chance in the machine comes from it', wholeNumber)
    .option('--behaviour <name>', 'strict, linux-7.1 or linux-7.0')
    .option(
      '--without-fix <commit>',
      'switch a fix of Linux off; may be given again',
      (fix: string, all: readonly string[]) => [...all, fix],
      [],
    )
    .option('--clock <mode>', 'auto, manual or real')
    .option('--label <key=value>', 'a word of your own; may be given again', label)
    .option('--ttl <seconds>', 'delete it after that time', wholeNumber)
    .action(create);
  talksToService(machine.command('list').description('list machines').option('--label <key=value>', 'only those that have it')).action(
    list,
  );
  talksToService(machine.command('show').description('show a machine and its functions').argument('<machine>', 'id or name')).action(show);
  talksToService(machine.command('save').description('save a machine as it is now, to go on from there'))
    .argument('<machine>', 'id or name')
    .argument('<file>', 'is written over; - is standard output')
    .action(save);
  talksToService(machine.command('load').description('make a machine from a file that one was saved to'))
    .argument('<file>', '- is standard input')
    .option('--name <name>', 'another than it had')
    .action(load);
  talksToService(machine.command('delete').description('delete a machine').argument('<machine>', 'id or name')).action(remove);
}

async function create(options: CreateOptions): Promise<void> {
  const made = await new Service(options).post<Machine>(
    '/v1/machines',
    {
      ...source(options),
      name: options.name,
      seed: options.seed,
      clock: options.clock,
      behaviour: options.behaviour,
      withoutFixes: options.withoutFix,
      labels: options.label,
      ttl: options.ttl,
    },
    'id',
  );
  printMade(made, options);
}

function printMade(made: Machine, { json }: ServiceOptions): void {
  for (const warning of made.warnings) warn(`warning: ${warning}`);
  print(json, made, () => `${made.id}  ${made.name}  ${made.functions} functions  ${made.socketUrl}`);
}

async function save(name: string, file: string, options: ServiceOptions): Promise<void> {
  const bytes = await new Service(options).getBytes(`${machinePath(name)}/snapshot`);
  writeOutput(file, bytes);
  if (file !== '-')
    print(options.json, { machine: name, file, bytes: bytes.length }, () => `${name} saved to ${file}, ${bytes.length} bytes`);
}

async function load(file: string, options: ServiceOptions & { readonly name?: string }): Promise<void> {
  const query = options.name === undefined ? '' : `?name=${encodeURIComponent(options.name)}`;
  const path = `/v1/machines/snapshot${query}`;
  printMade(await new Service(options).postBytes<Machine>(path, readBytes(file), 'id'), options);
}

function source(options: CreateOptions): object {
  if (options.lspci !== undefined) return { lspci: readInput(options.lspci) };
  if (options.topology !== undefined) return { topology: readInput(options.topology) };
  return { preset: options.preset ?? 'basic' };
}

async function list(options: ServiceOptions & { readonly label?: string }): Promise<void> {
  const query = options.label === undefined ? '' : `?label=${encodeURIComponent(options.label)}`;
  const { machines } = await new Service(options).get<{ machines: readonly Machine[] }>(`/v1/machines${query}`, 'machines');
  print(options.json, machines, () =>
    table(
      ['ID', 'NAME', 'SOURCE', 'FUNCTIONS', 'SESSIONS', 'CREATED'],
      machines.map((each) => [each.id, each.name, each.source, String(each.functions), String(each.sessions), each.createdAt]),
    ),
  );
}

interface ShownFunction {
  readonly function: string;
  readonly model: string;
  readonly group: number | null;
  readonly atsSupported: boolean;
  readonly blocked: boolean;
  readonly inFlight: number;
  readonly label: string;
}

interface ShownFault {
  readonly armed: number;
  readonly text: string;
}

async function show(name: string, options: ServiceOptions): Promise<void> {
  const service = new Service(options);
  const path = machinePath(name);
  const machine = await service.get<Machine>(path, 'socketUrl');
  const { functions } = await service.get<{ functions: readonly ShownFunction[] }>(`${path}/functions`, 'functions');
  const { faults } = await service.get<{ faults: readonly ShownFault[] }>(`${path}/faults-on-purpose`, 'faults');
  const armed = faults.length === 0 ? [] : ['', ...faults.map(({ armed: number, text }) => `armed ${number}: ${text}`)];
  print(options.json, { ...machine, functions, armedFaults: faults }, () =>
    [...facts(machine), '', functionTable(functions), ...armed].join('\n'),
  );
}

function behaviourText({ behaviour, withoutFixes }: Machine): string {
  return withoutFixes.length === 0 ? behaviour : `${behaviour} without ${withoutFixes.join(', ')}`;
}

function facts(machine: Machine): readonly string[] {
  const labels = Object.entries(machine.labels).map(([key, value]) => `${key}=${value}`);
  const rows: readonly (readonly [string, string])[] = [
    ['machine', `${machine.id} (${machine.name})`],
    ['from', machine.source],
    ['behaviour', `${behaviourText(machine)}, clock ${machine.clock}, seed ${machine.seed}, ${machine.iommu ? 'with' : 'no'} IOMMU`],
    ['created', machine.createdAt + (machine.expiresAt === null ? '' : `, expires ${machine.expiresAt}`)],
    ...(labels.length === 0 ? [] : [['labels', labels.join(' ')] as const]),
    ['socket', `${machine.socketUrl} (${machine.sessions} open)`],
  ];
  return rows.map(([key, value]) => `${key.padEnd(9)}  ${value}`);
}

function functionTable(functions: readonly ShownFunction[]): string {
  return table(
    ['FUNCTION', 'MODEL', 'GROUP', 'ATS', 'STATE', 'IN FLIGHT', 'LABEL'],
    functions.map((each) => [
      each.function,
      each.model,
      each.group === null ? '-' : String(each.group),
      each.atsSupported ? 'yes' : 'no',
      each.blocked ? 'blocked' : 'up',
      String(each.inFlight),
      each.label,
    ]),
  );
}

async function remove(name: string, options: ServiceOptions): Promise<void> {
  await new Service(options).delete(machinePath(name));
  print(options.json, { deleted: name }, () => '');
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It is not a whole number.');
  return Number(text);
}

function label(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new Exit(EXIT.usage, `--label ${text}: write KEY=VALUE`);
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
