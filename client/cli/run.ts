/** Reads the arguments, runs one command, and says how it ended. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { registerCheckDevice } from './commands/check-device.ts';
import { registerFault } from './commands/fault.ts';
import { registerFunction } from './commands/function.ts';
import { registerLspci } from './commands/lspci.ts';
import { registerMachine } from './commands/machine.ts';
import { registerReset } from './commands/reset.ts';
import { registerServe } from './commands/serve.ts';
import { registerStatus } from './commands/status.ts';
import { registerSysfs } from './commands/sysfs.ts';
import { registerTopology } from './commands/topology.ts';
import { registerDemo } from './demo/index.ts';
import { EXIT, Exit } from './exit.ts';
import { warn } from './output.ts';
import { registerRecord, registerReplay, registerTrace } from './recording/index.ts';
import { registerExplore, registerRun } from './scenario/index.ts';
import { registerWalk } from './walk/index.ts';

const EXIT_CODES = `
Exit codes: 0 good, 1 a check or verdict failed, 2 wrong usage, 3 no service, 4 refused by the service.`;

// By the package's own name, so that the same line works in the sources and in a built tree.
const manifest = createRequire(import.meta.url)('iommud/package.json') as { readonly version: string };

function program(): Command {
  const root = new Command('iommud')
    .description('machines with an IOMMU, PCI functions and memory, over a websocket')
    .version(manifest.version)
    .addHelpText('after', EXIT_CODES)
    .showHelpAfterError('(add --help for what it takes)')
    .exitOverride();
  for (const register of [
    registerServe,
    registerMachine,
    registerLspci,
    registerReset,
    registerStatus,
    registerSysfs,
    registerFault,
    registerFunction,
    registerCheckDevice,
    registerTopology,
    registerDemo,
    registerWalk,
    registerRun,
    registerExplore,
    registerRecord,
    registerReplay,
    registerTrace,
  ])
    register(root);
  for (const command of everyCommand(root)) command.exitOverride();
  return root;
}

/** The exit code of this command line. Says on stderr what went wrong. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync([...argv]);
    return Number(process.exitCode ?? EXIT.good);
  } catch (error) {
    // Commander has said what it had to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage;
    if (error instanceof Exit) {
      warn(error.message);
      return error.exitCode;
    }
    const { code, message, stack } = error as { code?: unknown; message?: string; stack?: string };
    // A code makes it an answer; without one it is our own bug, and where it happened matters.
    warn(typeof code === 'string' ? `${code}: ${message ?? ''}` : (stack ?? String(error)));
    return typeof code === 'string' ? EXIT.refused : EXIT.failed;
  }
}

function everyCommand(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...everyCommand(child)]);
}
