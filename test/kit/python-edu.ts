/** The edu of client/python/examples: one Python program that is that function of as many machines as it is told. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Debian's own, which has Debian's packages. */
const PYTHON = process.env['PYTHON'] ?? '/usr/bin/python3';
const EDU = fileURLToPath(new URL('../../client/python/examples/edu.py', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../client/python/src', import.meta.url));

/** Why it cannot be played here; undefined where it can. */
export function missingForPython(): string | undefined {
  const tried = spawnSync(PYTHON, ['-c', 'import google.protobuf, websockets'], { encoding: 'utf8' });
  if (tried.error !== undefined) return `${PYTHON} does not start: ${tried.error.message}`;
  return tried.status === 0
    ? undefined
    : `${PYTHON} has no protobuf or no websockets (apt-get install python3-protobuf python3-websockets)`;
}

interface Player {
  readonly process: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

let player: Player | undefined;

/** Has the program claim this function of the machine with this socket; it is played when this resolves. */
export async function playPythonEdu(socketUrl: string, bdf: string): Promise<void> {
  player ??= start();
  player.process.stdin?.write(`${socketUrl} ${bdf}\n`);
  const { value } = await player.lines.next();
  if (value !== `is ${bdf}`) throw new Error(`${EDU} said ${JSON.stringify(value)} when it was to be ${bdf}`);
}

function start(): Player {
  const process = spawn(PYTHON, ['-u', EDU, '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...globalThis.process.env, PYTHONPATH: PACKAGE, PYTHONDONTWRITEBYTECODE: '1' },
  });
  return { process, lines: createInterface({ input: process.stdout })[Symbol.asyncIterator]() };
}

/** After the tests of a file that played it. */
export function endPythonEdu(): void {
  player?.process.kill();
  player = undefined;
}
