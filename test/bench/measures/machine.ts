/** What a machine costs: a read of configuration space, its memory while nothing happens, and being enumerated. */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startMachine } from '../../../client/testing/index.ts';
import { p50, type Measure } from '../harness/index.ts';
import { readsPerSecond, startMachineToRead } from './core/config-reads.ts';
import { againstFloors, type Subject } from './service/compare.ts';
import { startService } from './service/start.ts';

const SECONDS = 0.25;
const MACHINES = 10_000;
/** Of all of them: what a small virtual machine has. */
const MEMORY_BYTES = 2 ** 30;
const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
const DATA = process.env['IOMMUD_DATA'];
const DUMPS = DATA === undefined ? `${REPOSITORY}test/fixtures/lspci` : `${DATA}/lspci`;

function readInProcess(): Measure {
  let machine: ReturnType<typeof startMachineToRead> | undefined;
  const run = (): Promise<number> => Promise.resolve(readsPerSecond((machine ??= startMachineToRead()), SECONDS));
  return { name: 'config-read/in-process', unit: '1/s', floor: 'self', run, runFloor: run };
}

/** In a process of its own, for memory is given back to no other. One round of ten thousand takes some seconds, and strays by a hundredth. */
function idleMachine(): Measure {
  let bytes: Promise<number> | undefined;
  const program = fileURLToPath(new URL('core/idle-machines.ts', import.meta.url));
  const measured = async (): Promise<number> => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', program, String(MACHINES)], { cwd: REPOSITORY });
    return (JSON.parse(stdout) as { bytes: number }).bytes;
  };
  return {
    name: 'idle-machine/bytes',
    unit: 'B',
    floor: 'GiB/10000',
    run: () => (bytes ??= measured()),
    runFloor: () => Promise.resolve(MEMORY_BYTES / MACHINES),
  };
}

/** The text of the dump that is largest, of real ones where there are any. */
function largestDump(): string {
  const files = readdirSync(DUMPS)
    .filter((name) => name.endsWith('.lspci'))
    .map((name) => `${DUMPS}/${name}`);
  const [largest] = files.toSorted((a, b) => statSync(b).size - statSync(a).size);
  if (largest === undefined) throw new Error(`no dump in ${DUMPS}`);
  return readFileSync(largest, 'utf8');
}

/** Lists the functions and reads all of the configuration space of each. */
async function openEnumeration(): Promise<Subject> {
  const service = await startService();
  const machine = await startMachine({ lspci: largestDump(), url: service.url, roles: ['host'] });
  return {
    call: async () => {
      const functions = await machine.functions();
      await Promise.all(functions.map((each) => machine.function(each.function).config.readBytes(0, each.configBytes)));
    },
    async close() {
      await machine.close();
      await service.close();
    },
  };
}

/** Bytes of configuration space in the dump: the floor gets them as one message for each of its own. */
function configBytes(text: string): number {
  return [...text.matchAll(/^[0-9a-f]{2,3}:((?: [0-9a-f]{2})+)$/gim)].reduce((sum, [, row = '']) => sum + row.length / 3, 0);
}

export const measures: readonly Measure[] = [
  readInProcess(),
  idleMachine(),
  ...againstFloors({
    name: 'enumerate/largest-dump',
    unit: 's',
    load: { depth: 1, seconds: SECONDS },
    warmUp: { depth: 1, seconds: 2 },
    sizes: { requestBytes: 16, replyBytes: configBytes(largestDump()) },
    open: openEnumeration,
    figure: p50,
  }).filter(({ floor }) => floor === 'ws-echo'),
];
