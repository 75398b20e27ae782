/** A test that leaves behind what is needed to look at it again when it is red. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { startMachine, type MachineOptions } from './start-machine.ts';
import type { TestMachine } from './test-machine.ts';

export interface TestOptions extends MachineOptions {
  /** Folder in which a red test leaves a folder of its own; `IOMMUD_ARTIFACTS` when absent; without either nothing is recorded. */
  readonly artifacts?: string;
  /** What the test is called, where its runner does not say it (Vitest, node:test and Mocha do). */
  readonly test?: string;
}

const NAME_CHARS_MAX = 100;

/**
 * A test on a machine of its own, for any runner: `it('…', onMachine({ preset: 'basic' }, async (m) => { … }))`. When it throws, the recording of
 * its machine from its beginning, the fault records and what was armed, and the seed are in a folder of the test's name, and standard error says how to
 * run it again: `reproduce: iommud replay …`. What it throws is thrown on.
 */
export function onMachine(
  options: TestOptions,
  act: (machine: TestMachine) => unknown,
): (this: unknown, context?: unknown) => Promise<void> {
  // A function, and not an arrow: Mocha says what the test is called by `this`.
  return async function run(this: unknown, context?: unknown): Promise<void> {
    const { artifacts = process.env['IOMMUD_ARTIFACTS'] ?? '', test = nameOf(context) ?? nameOf(this), ...machine } = options;
    await using m = await startMachine({ ...machine, recorded: artifacts !== '' });
    try {
      await act(m);
    } catch (error) {
      if (artifacts !== '') await leave(m, artifacts, test ?? m.id, error);
      throw error;
    }
  };
}

/** Never throws: the test's own error is what counts. */
async function leave(machine: TestMachine, artifacts: string, test: string, error: unknown): Promise<void> {
  const name = slugOf(test) || machine.id;
  const folder = resolve(artifacts, name);
  const left: string[] = [];
  const problems: string[] = [];
  const write = async (file: string, make: () => Promise<string | Uint8Array>): Promise<void> => {
    try {
      writeFileSync(join(folder, file), await make());
      left.push(file);
    } catch (problem) {
      problems.push(`${file}: ${textOf(problem)}`);
    }
  };
  try {
    mkdirSync(folder, { recursive: true });
  } catch (problem) {
    say([`nothing could be left in ${folder}: ${textOf(problem)}`]);
    return;
  }
  // First, so that it ends with the test and not with what is asked here.
  await write(`${name}.iommurec`, () => machine.endRecording());
  await write('faults.json', async () => jsonOf({ records: await machine.faultRecords(), armed: await machine.armed.list() }));
  await write('machine.json', async () => jsonOf({ test, error: textOf(error), ...(await machine.info()) }));
  say([
    `${test}: left in ${folder}: ${left.join(', ')}`,
    ...problems.map((problem) => `missing: ${problem}`),
    ...(left.includes(`${name}.iommurec`) ? [`reproduce: iommud replay ${join(folder, `${name}.iommurec`)}`] : []),
  ]);
}

function say(lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `iommud: ${line}\n`).join(''));
}

/** As Vitest (`task`), node:test (`fullName`, `name`) and Mocha (`test.title`) have it. */
function nameOf(context: unknown): string | undefined {
  if (typeof context !== 'object' || context === null) return undefined;
  const { task, test, fullName, name } = context as {
    readonly task?: { readonly name?: unknown };
    readonly test?: { readonly title?: unknown };
    readonly fullName?: unknown;
    readonly name?: unknown;
  };
  return [task?.name, test?.title, fullName, name].find((text) => typeof text === 'string');
}

function slugOf(text: string): string {
  return text
    .replaceAll(/[^\w.-]+/g, '-')
    .replaceAll(/^[-.]+|-+$/g, '')
    .slice(0, NAME_CHARS_MAX);
}

/** Addresses as hex text, as the command prints them. */
function jsonOf(value: object): string {
  return `${JSON.stringify(value, (_key, inside: unknown) => (typeof inside === 'bigint' ? `0x${inside.toString(16)}` : inside), 2)}\n`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
