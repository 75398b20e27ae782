/** `iommud record`: everything that happens to a machine, in a file. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readBytes } from '../input.ts';
import { print, warn } from '../output.ts';
import { Service, machinePath, talksToService, type ServiceOptions } from '../service.ts';
import { endsOn, seconds, type Until } from './until.ts';

export interface RecordOptions extends ServiceOptions, Until {
  readonly output: string;
}

export function registerRecord(program: Command): void {
  talksToService(program.command('record').description('record everything that happens to a machine, to replay it'))
    .argument('<machine>', 'id or name')
    .requiredOption('-o, --output <file>', 'is written over; - is standard output')
    .option('--seconds <n>', 'end after so long, wall clock; else Ctrl-C ends it', seconds)
    .action(record);
}

async function record(name: string, options: RecordOptions): Promise<void> {
  const { output } = options;
  const bytes = await recordInto(await outputTo(output), name, options);
  if (output === '-') return;
  const { recording, inputs } = await readBack(output);
  const { reason, traceHash } = recording.end ?? { reason: '', traceHash: '' };
  const shown = { machine: name, file: output, bytes, inputs, traceHash, ended: reason };
  print(
    options.json,
    shown,
    () => `${name} recorded to ${output}: ${inputs} inputs, ${bytes} bytes, trace hash ${traceHash}; ended: ${reason}`,
  );
}

/** Records until it is ended, from here or from there. The bytes of the file. */
export async function recordInto(into: Writable, name: string, options: ServiceOptions & Until): Promise<number> {
  const service = new Service(options);
  const path = machinePath(name);
  const { headers, stream } = await service.getStream(`${path}/recording`);
  const number = headers['iommud-recording'];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
  const written = pipeline(stream, into);
  warn(`recording ${name}; Ctrl-C ends it`);
  const stop = (): void => {
    service.delete(`${path}/recordings/${String(number)}`).catch((error: unknown) => {
      stream.destroy(error instanceof Error ? error : undefined);
    });
  };
  const forget = endsOn(options, stop);
  try {
    await written;
  } finally {
    forget();
  }
  return bytes;
}

async function readBack(path: string): ReturnType<typeof summary> {
  return summary(readBytes(path));
}

/** What was recorded is whole, or this says what is wrong. */
async function summary(file: Uint8Array) {
  const { openRecording } = await import('../../../server/src/app/index.ts');
  const recording = openRecording(file);
  return { recording, inputs: recording.end?.inputs ?? 0 };
}

/** A file, written over; `-` is standard output. */
export async function outputTo(path: string): Promise<Writable> {
  return path === '-' ? throughStdout() : fileAt(path);
}

/** Does not close it. */
function throughStdout(): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      process.stdout.write(chunk, done);
    },
  });
}

async function fileAt(path: string): Promise<Writable> {
  const file = createWriteStream(path);
  try {
    await once(file, 'open');
    return file;
  } catch (error) {
    throw new Exit(EXIT.failed, `cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
