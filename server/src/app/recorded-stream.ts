/** Recordings that are asked for over HTTP: each is a stream that its reader gets, and has a number by which it is ended. */
import { PassThrough, type Readable } from 'node:stream';
import type { MachineHost, RunningRecording } from '../rpc/index.ts';
import { Refusal } from './refusal.ts';

export interface RecordedStream {
  /** Of this machine's recordings, from 1. */
  readonly number: number;
  readonly stream: Readable;
}

export class RecordedStreams {
  readonly #running = new Map<number, RunningRecording>();
  #last = 0;

  /** Ends when it is ended, when nobody reads it any more, and with the machine. Errors: as of MachineHost.record. */
  start(host: MachineHost): RecordedStream {
    const stream = new PassThrough();
    const number = this.#last + 1;
    const running = host.record({
      write: (bytes) => void stream.write(bytes),
      get bufferedBytes() {
        return stream.writableLength + stream.readableLength;
      },
      end: () => {
        this.#running.delete(number);
        stream.end();
      },
    });
    this.#last = number;
    this.#running.set(number, running);
    stream.once('close', () => running.stop('nobody reads it'));
    return { number, stream };
  }

  /** Errors: ENOENT for one that is not under way. */
  stop(number: number): void {
    const running = this.#running.get(number);
    if (running === undefined) throw new Refusal('ENOENT', `there is no recording ${number} under way`, 'recording');
    running.stop('asked to');
  }
}
