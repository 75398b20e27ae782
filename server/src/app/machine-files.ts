/** What of a machine is written to files from its beginning to its end. */
import { join } from 'node:path';
import type { Machine } from '../core/machine/index.ts';
import { openRecordingFile, openTraceFile, type Log } from '../observe/index.ts';
import type { MachineHost } from '../rpc/index.ts';

export interface MachineFolders {
  readonly traceDir?: string | undefined;
  readonly recordDir?: string | undefined;
}

export interface MachineFiles {
  /** After the host was closed. Resolves when all is written, also when that failed. */
  close(): Promise<void>;
}

export function openMachineFiles(
  id: string,
  machine: Machine,
  host: MachineHost,
  { traceDir, recordDir }: MachineFolders,
  log: Log,
): MachineFiles {
  const closes: (() => Promise<void>)[] = [];
  if (traceDir !== undefined) {
    const file = openTraceFile(join(traceDir, `${id}.jsonl`), (message) => {
      silence();
      log.error(message);
    });
    const silence = machine.trace.listen(file.sink);
    closes.push(() => file.close());
  }
  if (recordDir !== undefined) {
    const file = openRecordingFile(join(recordDir, `${id}.iommurec`), (message) => log.error(message));
    host.record(file);
    closes.push(() => file.closed());
  }
  return {
    close: async () => {
      await Promise.all(closes.map((close) => close()));
    },
  };
}
