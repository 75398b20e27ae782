/** `iommud trace`: a recording, or what happens from now on, for Wireshark or the Perfetto UI. */
import { existsSync } from 'node:fs';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readBytes } from '../input.ts';
import { print, warn, writeOutput } from '../output.ts';
import { talksToService, type ServiceOptions } from '../service.ts';
import { outputTo, recordInto } from './record.ts';
import { seconds, type Until } from './until.ts';

const FORMATS = ['pcapng', 'perfetto'] as const;

interface TraceOptions extends ServiceOptions, Until {
  readonly format: (typeof FORMATS)[number];
  readonly output: string;
  readonly partial?: true;
}

export function registerTrace(program: Command): void {
  talksToService(program.command('trace').description('make packets for Wireshark, or a timeline for the Perfetto UI'))
    .argument('<source>', 'a recording, or a machine: then it is recorded until Ctrl-C')
    .addOption(new Option('--format <format>', 'what to make').choices(FORMATS).makeOptionMandatory())
    .requiredOption('-o, --output <file>', 'is written over; - is standard output', notEmpty)
    .option('--seconds <n>', 'of a machine: end after so long, wall clock', seconds)
    .option('--partial', 'take a recording without its end for what is whole of it')
    .action(trace);
}

async function trace(source: string, options: TraceOptions): Promise<void> {
  const { format, output } = options;
  const isFile = source === '-' || existsSync(source);
  if (!isFile && source.endsWith('.iommurec')) throw new Exit(EXIT.usage, `there is no file ${source}`);
  const bytes = format === 'pcapng' ? await packets(source, isFile, options) : await timeline(source, isFile, options);
  if (output === '-') return;
  const open = format === 'pcapng' ? tsharkCommand(output) : 'https://ui.perfetto.dev, "Open trace file"; nothing leaves the browser';
  print(options.json, { source, format, file: output, bytes, open }, () => `${output}: ${bytes} bytes; open it with\n  ${open}`);
}

/** Of a machine as they come, so that Wireshark can read on: `-o - | wireshark -k -i -`. The bytes of the file. */
async function packets(source: string, isFile: boolean, options: TraceOptions): Promise<number> {
  const { RecordingPcapng } = await import('../../../server/src/app/index.ts');
  const pcapng = new RecordingPcapng();
  if (isFile) {
    const bytes = pcapng.push(readBytes(source));
    pcapng.finish(options.partial === true);
    writeOutput(options.output, bytes);
    return bytes.length;
  }
  let bytes = 0;
  const made = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      try {
        const more = pcapng.push(chunk);
        bytes += more.length;
        done(null, more);
      } catch (error) {
        done(error as Error);
      }
    },
  });
  await Promise.all([recordInto(made, source, options), pipeline(made, await outputTo(options.output))]);
  return bytes;
}

async function timeline(source: string, isFile: boolean, options: TraceOptions): Promise<number> {
  const file = isFile ? readBytes(source) : await recorded(source, options);
  const { openRecording, recordingTimeline } = await import('../../../server/src/app/index.ts');
  const bytes = Buffer.from(recordingTimeline(openRecording(file, options.partial === true)));
  writeOutput(options.output, bytes);
  return bytes.length;
}

async function recorded(machine: string, options: TraceOptions): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  const into = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk);
      done();
    },
  });
  await recordInto(into, machine, options);
  return Buffer.concat(chunks);
}

/** With what Wireshark needs, where this package has it. */
function tsharkCommand(file: string): string {
  const { root, lua } = wireshark();
  if (/["\\]/.test(root)) warn(`${root} has characters that Wireshark's settings cannot hold; copy proto/ elsewhere`);
  return `tshark -X lua_script:${quoted(lua)} -o ${quoted(`uat:protobuf_search_paths:"${root}","TRUE"`)} -r ${quoted(file)}`;
}

/** The package's own folder: the command runs from the sources, and from `dist` in a built tree. */
function wireshark(): { readonly root: string; readonly lua: string } {
  for (const up of ['../../../', '../../../../']) {
    const lua = fileURLToPath(new URL(`${up}client/wireshark/iommud.lua`, import.meta.url));
    if (existsSync(lua)) return { root: fileURLToPath(new URL(`${up}proto`, import.meta.url)), lua };
  }
  throw new Exit(EXIT.failed, 'client/wireshark/iommud.lua is not in this package');
}

function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}
