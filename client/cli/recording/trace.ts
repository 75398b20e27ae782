/** `iommud trace`: a recording, or what happens from now on, for Wireshark or the Perfetto UI. */
import { existsSync } from 'node:fs';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { EXIT, Exit } from '../exit.ts';
import { readBytes } from '../input.ts';
import { print, warn, writeOutput } from '../output.ts';
import { talksToService, type ServiceOptions } from '../service.ts';
import { recordInto } from './record.ts';
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
  const file = source === '-' || existsSync(source) ? readBytes(source) : await recorded(source, options);
  const { openRecording, recordingPcapng, recordingTimeline } = await import('../../../server/src/app/index.ts');
  const recording = openRecording(file, options.partial === true);
  const bytes = format === 'pcapng' ? recordingPcapng(recording) : Buffer.from(recordingTimeline(recording));
  writeOutput(output, bytes);
  if (output === '-') return;
  const open = format === 'pcapng' ? tsharkCommand(output) : 'https://ui.perfetto.dev, "Open trace file"; nothing leaves the browser';
  print(
    options.json,
    { source, format, file: output, bytes: bytes.length, open },
    () => `${output}: ${bytes.length} bytes; open it with\n  ${open}`,
  );
}

async function recorded(machine: string, options: TraceOptions): Promise<Uint8Array> {
  if (machine.endsWith('.iommurec')) throw new Exit(EXIT.usage, `there is no file ${machine}`);
  const chunks: Buffer[] = [];
  await recordInto(
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        done();
      },
    }),
    machine,
    options,
  );
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
