/** `iommud check-device`: whether a function that another program plays does what any function has to do. */
import { InvalidArgumentError, type Command } from 'commander';
import { checkDevice, type DeviceCheck, type Machine } from '../../src/index.ts';
import { EXIT, Exit } from '../exit.ts';
import { onMachine } from '../on-machine.ts';
import { print } from '../output.ts';
import { Service, talksToService, type ServiceOptions } from '../service.ts';

interface CheckOptions extends ServiceOptions {
  readonly claim: string;
  readonly wait: number;
}

const LOOK_MS = 50;

export function registerCheckDevice(program: Command): void {
  talksToService(program.command('check-device').description('try whether a function that another program plays does what it has to do'))
    .argument('<machine>', 'id or name; the function is reset, and what hosts have set up in it is lost')
    .requiredOption('--claim <function>', 'the slot that the program claims: 00:04.0')
    .option('--wait <seconds>', 'for the program to come', seconds, 60)
    .action(check);
}

async function check(name: string, options: CheckOptions): Promise<void> {
  const results = await onMachine(new Service(options), name, async (machine) => {
    await claimed(machine, options);
    const found: DeviceCheck[] = [];
    for await (const result of checkDevice(machine, options.claim)) {
      found.push(result);
      if (options.json !== true) print(false, undefined, () => line(result));
    }
    return found;
  });
  const failed = results.filter(({ passed }) => passed === false).length;
  print(options.json, results, () => `${results.length} checks, ${failed} failed`);
  if (failed > 0) throw new Exit(EXIT.failed, `${options.claim} fails ${failed} of ${results.length} checks`);
}

/** Until somebody plays it. */
async function claimed(machine: Machine, { claim, wait }: CheckOptions): Promise<void> {
  const until = performance.now() + wait * 1000;
  while ((await machine.function(claim).info()).absent) {
    if (performance.now() > until) throw new Exit(EXIT.failed, `nobody has claimed ${claim} within ${wait} s`);
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
}

function line({ name, passed, text }: DeviceCheck): string {
  const mark = passed === undefined ? '-   ' : passed ? 'ok  ' : 'FAIL';
  return `${mark}  ${name}${text === '' ? '' : `: ${text}`}`;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 86_400)) throw new InvalidArgumentError('write seconds, up to a day');
  return value;
}
