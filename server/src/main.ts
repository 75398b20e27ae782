/** The service's process. */
import { SettingsError, runServer } from './app/index.ts';
import { readConfig } from './config.ts';

const EXIT = { failed: 1, usage: 2 } as const;

try {
  const config = readConfig(process.argv.slice(2));
  await runServer(config.settings, config.run);
} catch (error) {
  process.stderr.write(`iommud: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof SettingsError ? EXIT.usage : EXIT.failed;
}
