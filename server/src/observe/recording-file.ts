/** A machine's recording in a file. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

export interface RecordingFile {
  readonly path: string;
  /** As a recording's sink has them. */
  write(bytes: Uint8Array): void;
  readonly bufferedBytes: number;
  end(reason: string): void;
  /** Resolves when what was written is in the file, also when that failed. */
  closed(): Promise<void>;
}

/**
 * Opens `path` (a file that is there is written over). The first error (no such folder, a full disk) goes to `onError` as one sentence; what is
 * written from then on is dropped.
 */
export function openRecordingFile(path: string, onError: (message: string) => void): RecordingFile {
  const stream = createWriteStream(path);
  let failed = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (failed) return;
    failed = true;
    onError(`recording ${path}: ${error.code ?? error.message}; it ends here, the machine goes on`);
  });
  return {
    path,
    write: (bytes) => {
      if (!failed) stream.write(bytes);
    },
    get bufferedBytes() {
      return stream.writableLength;
    },
    end: () => {
      if (!failed) stream.end();
    },
    closed: async () => {
      if (stream.closed || failed) return;
      await once(stream, 'close').catch(() => undefined);
    },
  };
}
