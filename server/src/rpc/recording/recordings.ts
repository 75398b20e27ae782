/** The recordings of one machine that are under way. */
import { RECORDINGS_MAX } from '../../../../proto/limits.ts';
import { ModelError } from '../../core/base/index.ts';
import type { Welcome } from '../hello.ts';
import type { RecordedPeer } from './record.ts';
import { Recorder, type RecordingSink } from './recorder.ts';
import { encodeStart, type RecordedMachine } from './recording-start.ts';

export interface RunningRecording {
  /** Ends it; its sink is told. */
  stop(reason: string): void;
}

export class Recordings {
  #running: readonly Recorder[] = [];

  /** False: whoever has something to record need not say it. */
  get active(): boolean {
    return this.#running.length > 0;
  }

  /** Errors: EBUSY where there are {@link RECORDINGS_MAX}; EOPNOTSUPP names what in the machine cannot be saved. */
  start(
    machine: RecordedMachine,
    sink: RecordingSink,
    { welcome, isNew, peers }: { readonly welcome: Welcome; readonly isNew: boolean; readonly peers: readonly RecordedPeer[] },
  ): RunningRecording {
    if (this.#running.length >= RECORDINGS_MAX) {
      throw new ModelError('EBUSY', `this machine has ${RECORDINGS_MAX} recordings under way, as many as there may be`, 'machine');
    }
    const recorder = new Recorder(machine, sink, encodeStart(machine, welcome, isNew, peers), peers);
    this.#running = [...this.#running, recorder];
    return {
      stop: (reason) => {
        recorder.end(reason);
        this.#forgetEnded();
      },
    };
  }

  /** A recording that meets a mistake of ours ends with it; the machine goes on. */
  each(act: (recorder: Recorder) => void): void {
    for (const recorder of this.#running) {
      try {
        act(recorder);
      } catch (error) {
        recorder.end(`recording failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.#forgetEnded();
  }

  end(reason: string, crash?: string): void {
    this.each((recorder) => recorder.end(reason, crash));
  }

  #forgetEnded(): void {
    if (this.#running.some(({ ended }) => ended)) this.#running = this.#running.filter(({ ended }) => !ended);
  }
}
