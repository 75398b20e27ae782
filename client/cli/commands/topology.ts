/** `iommud topology`: documents that say what a machine is. Needs no service. */
import type { Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readInput } from '../input.ts';
import { print } from '../output.ts';

interface Json {
  readonly json?: true;
}

export function registerTopology(program: Command): void {
  const topology = program.command('topology').description('write, check and describe topology documents');
  topology
    .command('init')
    .description('print a topology to start from')
    .option('--preset <name>', 'basic, switch, no-iommu or siblings', 'basic')
    .option('--json', 'print it as JSON')
    .action(init);
  topology
    .command('check')
    .description('check a document and print the machine it makes')
    .argument('<file>', 'JSON or YAML; - is standard input')
    .option('--json', 'print JSON')
    .action(check);
  topology.command('schema').description('print the JSON Schema, for editors').option('--json', 'as it is').action(schema);
}

async function init(options: Json & { readonly preset: string }): Promise<void> {
  const { presetText } = await import('../../../server/src/app/topology/index.ts');
  const text = named(() => presetText(options.preset));
  if (options.json !== true) return print(false, undefined, () => text);
  const { parse } = await import('yaml');
  print(true, parse(text), () => '');
}

/** A name that does not exist is a wrong argument, not a refusal of a service. */
function named(read: () => string): string {
  try {
    return read();
  } catch (error) {
    throw new Exit(EXIT.usage, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function check(file: string, options: Json): Promise<void> {
  const { describeTopology, parseTopology } = await import('../../../server/src/app/topology/index.ts');
  const text = readInput(file);
  try {
    const topology = parseTopology(text);
    print(options.json, { valid: true, name: topology.name, functions: topology.functions.length }, () => describeTopology(topology));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === undefined) throw error;
    // Before anything is written: whoever reads may stop in the middle of it.
    process.exitCode = EXIT.failed;
    if (options.json === true) print(true, { valid: false, code, message }, () => '');
    throw new Exit(EXIT.failed, `${file}: ${message}`, { cause: error });
  }
}

async function schema(): Promise<void> {
  const { topologySchema } = await import('../../../server/src/app/topology/index.ts');
  print(true, topologySchema, () => '');
}
