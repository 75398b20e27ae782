/** `iommud lspci`: a machine as `lspci` shows one, read register by register over its socket. */
import type { Command } from 'commander';
import type { Machine } from '../../src/index.ts';
import { EXIT, Exit } from '../exit.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

/** How often `x` was given, as `lspci` counts it. */
const HEX = ['none', 'x', undefined, 'xxx', 'xxxx'] as const;
/** 4 KiB of registers at once from each function would only wait in the queue; so many functions keep it full. */
const FUNCTIONS_AT_ONCE = 4;

interface LspciOptions extends ServiceOptions {
  readonly x: number;
  readonly D?: true;
}

interface Dumped {
  readonly function: string;
  readonly label: string;
  readonly config: Uint8Array;
}

export function registerLspci(program: Command): void {
  talksToService(program.command('lspci').description('list the functions of a machine in the form of lspci'))
    .argument('<machine>', 'id or name')
    .option('-x', 'hex of the header; -xxx of 256 bytes, -xxxx of all; lspci -F reads it', (_given: string, count: number) => count + 1, 0)
    .option('-D', 'always print the segment')
    .action(lspci);
}

async function lspci(name: string, options: LspciOptions): Promise<void> {
  const hex = HEX[options.x];
  if (hex === undefined) throw new Exit(EXIT.usage, `-${'x'.repeat(options.x)} is none of -x, -xxx and -xxxx`);
  const functions = await onMachine(new Service(options), name, readAll);
  const { lspciText } = await import('../../../server/src/app/index.ts');
  const json = functions.map((each) => ({ function: each.function, label: each.label, config: Buffer.from(each.config).toString('hex') }));
  print(options.json, json, () => lspciText(functions, { hex, domains: options.D === true }));
}

/** Every function with all of its configuration space. */
async function readAll(machine: Machine): Promise<readonly Dumped[]> {
  const functions = await machine.functions();
  const dumped: Dumped[] = [];
  for (let at = 0; at < functions.length; at += FUNCTIONS_AT_ONCE) {
    const some = functions.slice(at, at + FUNCTIONS_AT_ONCE);
    const read = some.map(async (each) => ({
      function: each.function,
      label: each.label,
      config: await machine.function(each.function).config.readBytes(0, each.configBytes),
    }));
    dumped.push(...(await Promise.all(read)));
  }
  return dumped;
}
