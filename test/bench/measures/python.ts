/** The Python client as a host: batches of configuration reads, against what it is to reach. */
import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Measure } from '../harness/index.ts';
import { startMeasuredMachine } from './service/start.ts';

const SECONDS = 0.5;
/** As many as the server lets be outstanding. */
const BATCH = 1024;
const GOAL_PER_SECOND = 50_000;
/** Debian's, where there is one: it has the packages that apt-get has installed. */
const PYTHON = '/usr/bin/python3';
const SOURCES = fileURLToPath(new URL('../../../client/python/src', import.meta.url));
const PROGRAM = fileURLToPath(new URL('service/python-config-read.py', import.meta.url));
const ENVIRONMENT = { ...process.env, PYTHONPATH: SOURCES };

interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: Interface;
  readonly closeMachine: () => Promise<void>;
}
let running: Running | undefined;

/** What it says when it cannot be imported ends with the reason. */
function whyNot(): string | undefined {
  const { error, status, stderr } = spawnSync(PYTHON, ['-c', 'import iommud'], { env: ENVIRONMENT, encoding: 'utf8' });
  if (error !== undefined) return `no ${PYTHON}`;
  return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) ?? 'iommud cannot be imported');
}

async function lineOf({ lines }: Running): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}

export const measures: readonly Measure[] = [
  {
    name: 'python-config-read/batched',
    unit: '1/s',
    floor: 'goal',
    whyNot,
    async open() {
      const { machine, close } = await startMeasuredMachine();
      const child = spawn(PYTHON, [PROGRAM, machine.socketUrl, String(BATCH), String(SECONDS)], {
        env: ENVIRONMENT,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      running = { child, lines: createInterface({ input: child.stdout }), closeMachine: close };
      await lineOf(running);
    },
    async run() {
      if (running === undefined) throw new Error('not open');
      running.child.stdin.write('\n');
      return Number(await lineOf(running));
    },
    runFloor: () => Promise.resolve(GOAL_PER_SECOND),
    async close() {
      running?.child.stdin.end();
      await running?.closeMachine();
    },
  },
];
