/** `iommud serve`: the service itself, in this process. */
import type { Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';

interface ServeOptions {
  readonly listen?: string;
  readonly exitWithStdin?: true;
  readonly insecure?: true;
  readonly logLevel?: string;
}

export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('run the service; prints one JSON line {url, version, pid} when it is ready, and logs on stderr')
    .option('--listen <host:port>', 'where to listen; port 0 is any that is free (IOMMUD_LISTEN, default 127.0.0.1:7411)')
    .option('--exit-with-stdin', 'stop when standard input ends, as when whoever started it is gone')
    .option('--insecure', 'listen beyond loopback without a token (IOMMUD_INSECURE)')
    .option('--log-level <level>', 'fatal, error, warn, info, debug, trace or silent (IOMMUD_LOG_LEVEL)')
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { SettingsError, readSettings, runServer } = await import('../../../server/src/app/index.ts');
  try {
    const settings = readSettings(process.env, options);
    await runServer(settings, { exitWithStdin: options.exitWithStdin === true });
  } catch (error) {
    if (error instanceof SettingsError) throw new Exit(EXIT.usage, error.message, { cause: error });
    throw new Exit(EXIT.failed, error instanceof Error ? error.message : String(error), { cause: error });
  }
}
