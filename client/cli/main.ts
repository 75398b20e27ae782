#!/usr/bin/env node
/** The command `iommud`. */
import { EXIT } from './exit.ts';
import { warn } from './output.ts';
import { run } from './run.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads has read enough, as `head` does.
  if (error.code === 'EPIPE') process.exit(EXIT.good);
  warn(`cannot write to standard output: ${error.message}`);
  process.exit(EXIT.failed);
});

process.exitCode = await run(process.argv);
