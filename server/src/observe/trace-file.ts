/** A machine's trace in a file, one JSON object a line. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { TraceRecord, TraceSink } from '../core/base/index.ts';
import { traceLine } from './trace-line.ts';

/** Bytes waiting for the disk; beyond it records are counted and left out. Some seconds of a slow disk, and a bound on memory. */
const PENDING_BYTES_MAX = 16 << 20;
/** Lines of one write. Larger writes bring no more speed. */
const LINES_PER_WRITE = 512;

export interface TraceFile {
  readonly path: string;
  /** Give this to a machine's trace. It never throws and never waits. */
  readonly sink: TraceSink;
  /** Writes what has gathered and closes the file. Resolves also when that failed. */
  close(): Promise<void>;
}

/**
 * Opens `path` (a file that is there is written over). The first error (no such folder, a full disk) goes to `onError` as one
 * sentence; from then on records are dropped. Records that the disk was too slow for are replaced by a line
 * `{"kind":"lost","records":N}`.
 */
export function openTraceFile(path: string, onError: (message: string) => void): TraceFile {
  const stream = createWriteStream(path);
  let lines: string[] = [];
  let lost = 0;
  let failed = false;
  const fail = (error: NodeJS.ErrnoException): void => {
    if (failed) return;
    failed = true;
    lines = [];
    onError(`trace file ${path}: ${reason(error)}; the trace ends here, the machine goes on`);
  };
  stream.on('error', fail);
  const flush = (): void => {
    if (lines.length === 0 || failed) return;
    const text = `${lines.join('\n')}\n`;
    lines = [];
    stream.write(text);
  };
  const noteLost = (): void => {
    if (lost === 0) return;
    lines.push(JSON.stringify({ kind: 'lost', records: lost }));
    lost = 0;
  };
  const sink = (record: TraceRecord): void => {
    if (failed) return;
    if (stream.writableLength > PENDING_BYTES_MAX) {
      lost++;
      return;
    }
    noteLost();
    if (lines.length === 0) setImmediate(flush);
    lines.push(traceLine(record));
    if (lines.length >= LINES_PER_WRITE) flush();
  };
  return {
    path,
    sink,
    close: async () => {
      noteLost();
      flush();
      if (stream.destroyed) return;
      const closed = once(stream, 'close').catch(() => undefined);
      stream.end();
      await closed;
    },
  };
}

function reason(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOSPC') return 'no space left on the disk (ENOSPC)';
  return error.code === undefined ? error.message : `${error.message.split(',')[0]}`;
}
