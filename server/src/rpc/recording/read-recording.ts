/** The bytes of a recording, checked, as records. */
import { BlockReader, parsed, type Block, type RecordingEnd } from './block-reader.ts';
import { readRecord, type Record } from './record.ts';
import { readStart, type RecordingStart } from './recording-start.ts';

export interface Recording {
  readonly start: RecordingStart;
  /** In order; read as they are asked for. Throws ModelError EINVAL for one that is none. */
  records(): Iterable<Record>;
  /** Undefined only where a partial one was allowed: its end was never written. */
  readonly end: RecordingEnd | undefined;
}

export interface ReadOptions {
  /** Takes a file without its end for what is whole of it. */
  readonly partial?: boolean;
}

/** ModelError EINVAL says what is wrong with the file. */
export function readRecording(file: Uint8Array, { partial = false }: ReadOptions = {}): Recording {
  const reader = new BlockReader();
  const blocks = reader.push(file);
  reader.finish(partial);
  // The reader has none without.
  const first = blocks[0]?.start ?? new Uint8Array(0);
  return { start: parsed(() => readStart(first)), end: blocks.at(-1)?.end, records: () => recordsOf(blocks) };
}

function* recordsOf(blocks: readonly Block[]): Generator<Record> {
  for (const { records } of blocks) {
    for (const bytes of records) yield parsed(() => readRecord(bytes));
  }
}

/** A recording that is still written: what has come of it whole, with the bytes of each record. */
export class RecordingFeed {
  readonly #reader = new BlockReader();

  /** `start`: once, at first. Throws ModelError EINVAL. */
  push(chunk: Uint8Array): {
    readonly start: RecordingStart | undefined;
    readonly records: readonly { readonly bytes: Uint8Array; readonly record: Record }[];
  } {
    const blocks = this.#reader.push(chunk);
    const start = blocks[0]?.start;
    return {
      start: start === undefined ? undefined : parsed(() => readStart(start)),
      records: blocks.flatMap(({ records }) => records.map((bytes) => ({ bytes, record: parsed(() => readRecord(bytes)) }))),
    };
  }

  /** Nothing follows. Throws ModelError EINVAL where it should; `partial`: its end need not be there. */
  finish(partial: boolean): void {
    this.#reader.finish(partial);
  }
}
