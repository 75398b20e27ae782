/** `iommud lspci`: a machine as `lspci` shows one, read register by register over its socket. */
import type { Command } from 'commander';
import { ofEvery } from '../every-function.ts';
import { EXIT, Exit } from '../exit.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

/** How often `x` was given, as `lspci` counts it. */
const HEX = ['none', 'x', undefined, 'xxx', 'xxxx'] as const;
interface LspciOptions extends ServiceOptions {
  readonly x: number;
  readonly D?: true;
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
  const functions = await onMachine(new Service(options), name, (machine) =>
    ofEvery(machine, async (each, fn) => ({ ...each, config: await fn.config.readBytes(0, each.configBytes) })),
  );
  const { lspciText } = await import('../../../server/src/app/index.ts');
  const json = functions.map((each) => ({ function: each.function, label: each.label, config: Buffer.from(each.config).toString('hex') }));
  print(options.json, json, () => lspciText(functions, { hex, domains: options.D === true }));
}
