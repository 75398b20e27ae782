#!/usr/bin/env node
/** The command `iommud`. */
import { EXIT } from './exit.ts';
import { warn } from './output.ts';
import { run } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads has read enough, as `head` does.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? EXIT.good);
  warn(`cannot write to standard output: ${error.message}`);
  process.exit(EXIT.failed);
});

// What cannot be said there cannot be said at all; the exit code still tells.
process.stderr.on('error', () => undefined);

process.exitCode = await run(process.argv);
