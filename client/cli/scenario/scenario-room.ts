/** The scenario room of the server, loaded when a command needs it, and what is common to the commands that do. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { EXIT, Exit } from '../exit.ts';
import { readInput } from '../input.ts';

export type ScenarioRoom = typeof import('../../../server/src/scenario/index.ts');
type MachineRoom = typeof import('../../../server/src/core/machine/index.ts');
export type Behaviour = MachineRoom['BEHAVIOURS'][number];
export type Fix = MachineRoom['FIX_NAMES'][number];

export async function scenarioRoom(): Promise<ScenarioRoom> {
  return import('../../../server/src/scenario/index.ts');
}

export async function behaviourOf(text: string | undefined): Promise<Behaviour | undefined> {
  const { BEHAVIOURS } = await import('../../../server/src/core/machine/index.ts');
  return text === undefined ? undefined : oneOf(BEHAVIOURS, text, '--behaviour');
}

export async function fixesOf(texts: readonly string[] | undefined): Promise<readonly Fix[] | undefined> {
  const { FIX_NAMES } = await import('../../../server/src/core/machine/index.ts');
  return texts?.map((text) => oneOf(FIX_NAMES, text, '--without-fix'));
}

function oneOf<W extends string>(words: readonly W[], text: string, option: string): W {
  const word = words.find((known) => known === text);
  if (word === undefined) throw new Exit(EXIT.usage, `${option} ${text}: it is one of ${words.join(', ')}`);
  return word;
}

export function wholeNumber(option: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : /^\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(value)) throw new Exit(EXIT.usage, `${option} ${text} is no whole number`);
  return value;
}

/** Files that a scenario names stand beside it. */
export function beside(file: string): (path: string) => string {
  return (path) => readFileSync(resolve(file === '-' ? '.' : dirname(file), path), 'utf8');
}

/** What cannot be read is wrong usage, with the file in front of the line. */
export function inFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if (code === undefined) throw error;
    throw new Exit(EXIT.usage, `${file}: ${message ?? ''}`, { cause: error });
  }
}

export function readScenario(
  file: string,
  room: ScenarioRoom,
): { readonly text: string; readonly scenario: ReturnType<ScenarioRoom['parseScenario']> } {
  const text = readInput(file);
  return { text, scenario: inFile(file, () => room.parseScenario(text)) };
}
