/** The environment and the arguments of the process, made into settings. Nothing else in the server reads them. */
import { parseArgs } from 'node:util';
import { SettingsError, readSettings, type RunOptions, type Settings } from './app/index.ts';

export const USAGE = 'usage: main.js [--listen HOST:PORT] [--insecure] [--log-level LEVEL] [--exit-with-stdin]';

export interface Config {
  readonly settings: Settings;
  readonly run: RunOptions;
}

/** Arguments go before the environment. Throws SettingsError. */
export function readConfig(args: readonly string[], environment: NodeJS.ProcessEnv = process.env): Config {
  const { listen, insecure, 'log-level': logLevel, 'exit-with-stdin': exitWithStdin } = parse(args);
  return { settings: readSettings(environment, { listen, insecure, logLevel }), run: { exitWithStdin: exitWithStdin === true } };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        listen: { type: 'string' },
        insecure: { type: 'boolean' },
        'log-level': { type: 'string' },
        'exit-with-stdin': { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new SettingsError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`, { cause: error });
  }
}
