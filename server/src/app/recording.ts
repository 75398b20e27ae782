/** A recording with all that the service has for one: its version, and who reads the functions that were plugged in. */
import type { TraceSink } from '../core/base/index.ts';
import { readRecording, replay, type Recording, type Replayed, type ReplayOptions } from '../rpc/index.ts';
import { readPluggedFunctions } from './topology/index.ts';
import { VERSION } from './version.ts';

/** Checks the file. Throws ModelError EINVAL that says what is wrong with it. */
export function openRecording(file: Uint8Array, partial = false): Recording {
  return readRecording(file, { partial });
}

export interface PlayOptions {
  /** Takes a file without its end for what is whole of it. */
  readonly partial?: boolean;
  readonly trace?: TraceSink;
}

export interface Played extends Replayed {
  readonly recording: Recording;
}

/** Runs a recording against this build. Throws ModelError EINVAL for a file that is none, or that cannot be played here. */
export function playRecording(file: Uint8Array, { partial = false, trace }: PlayOptions = {}): Played {
  const recording = openRecording(file, partial);
  return { ...play(recording, trace === undefined ? {} : { trace }), recording };
}

/** The same of one that is open. */
export function play(recording: Recording, more: Pick<ReplayOptions, 'trace' | 'onRecord'>): Replayed {
  return replay(recording, { productVersion: VERSION, readFunctions: readPluggedFunctions, ...more });
}
