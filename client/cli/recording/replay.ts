/** `iommud replay`: a recording against this build. Needs no service and no peers. */
import type { Command } from 'commander';
import { EXIT } from '../exit.ts';
import { readBytes } from '../input.ts';
import { print } from '../output.ts';

interface ReplayOptions {
  readonly partial?: true;
  readonly json?: true;
}

export function registerReplay(program: Command): void {
  program
    .command('replay')
    .description('run a recording against this build and say where it first differs')
    .argument('<file>', 'what iommud record wrote; - is standard input')
    .option('--partial', 'take a file without its end, as of a service that was killed, for what is whole of it')
    .option('--json', 'print JSON')
    .action(replay);
}

async function replay(path: string, options: ReplayOptions): Promise<void> {
  const { playRecording } = await import('../../../server/src/app/index.ts');
  const { recording, ...played } = playRecording(readBytes(path), { partial: options.partial === true });
  const { name, behaviour, productVersion } = recording.start;
  const { difference, inputs, outputs, nowNs, traceHash, crash } = played;
  if (difference !== undefined || crash !== undefined) process.exitCode = EXIT.failed;
  print(options.json, { file: path, machine: name, behaviour, recordedBy: productVersion, ...played }, () => {
    if (crash !== undefined) return `${path}: ${inputs} inputs are the same, and the last one crashes the machine as it did: ${crash}`;
    if (difference === undefined)
      return `${path}: ${inputs} inputs and ${outputs} outputs up to ${nowNs} ns are the same; trace hash ${traceHash}`;
    return [
      `${path}: differs at input ${difference.input}, at ${difference.timeNs} ns`,
      `  input     ${difference.of}`,
      `  recorded  ${difference.recorded}`,
      `  came      ${difference.came}`,
      ...(difference.field === undefined ? [] : [`  first in  ${difference.field}`]),
    ].join('\n');
  });
}
