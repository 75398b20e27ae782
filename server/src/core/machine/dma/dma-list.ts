/** dma-list: a scatter list of a function that a peer plays, in one call. */
import { ModelError, NO_PASID, join64, pasid as checkPasid } from '../../base/index.ts';
import type { DmaList, DmaRange } from '../command.ts';
import { ACCESS_BYTES_MAX } from '../memory-commands.ts';
import type { Parts } from '../parts.ts';
import type { DmaResult, Reply } from '../reply.ts';
import type { DmaListTask, FunctionState, Origin } from '../state.ts';
import { checkMode, deviceDmaRead, deviceDmaWrite } from './dma-commands.ts';

/** Ranges of one list. As many as a descriptor chain of a large disk request has, and their results fit one reply. */
const DMA_RANGES_MAX = 256;

/** Range after range is issued in order, whatever comes of those before, and the reply has a result for each. ModelError before any is issued. */
export function dmaList(m: Parts, origin: Origin, fn: FunctionState, command: DmaList): void {
  const { ranges, write, pasid, translated = false, privileged = false, execute = false } = command;
  const data = checked(command);
  const task = m.operations.start<DmaListTask>(origin, {
    kind: 'dma-list',
    ranges,
    data: write ? undefined : data,
    results: ranges.map(() => undefined),
    parts: ranges.length,
  });
  let at = 0;
  for (const [part, { iovaLow, iovaHigh, bytes }] of ranges.entries()) {
    const from = { operation: task.id, part, sinceNs: m.clock.nowNs };
    const place = { bdf: command.bdf, iovaLow, iovaHigh, pasid, translated, privileged };
    if (write) deviceDmaWrite(m, from, fn, { kind: 'dma-write', ...place, data: data.subarray(at, at + bytes) });
    else deviceDmaRead(m, from, fn, { kind: 'dma-read', ...place, bytes, execute });
    at += bytes;
  }
}

export function dmaPartAnswered(m: Parts, task: DmaListTask, part: number, reply: Reply): void {
  const range = task.ranges[part]!;
  if (reply.kind === 'dma') {
    const { data, ...result } = reply;
    if (data !== undefined) task.data?.set(data, startOf(task.ranges, part));
    task.results[part] = { ...result, data: undefined };
  } else {
    // Its ledger is full: it was not issued.
    task.results[part] = NOT_ISSUED(range);
  }
  if (--task.parts > 0) return;
  m.operations.end(task);
  m.outbox.reply(task.origin, {
    kind: 'dma-list',
    results: task.results.filter((one) => one !== undefined),
    data: task.data,
    elapsedNs: m.outbox.elapsed(task.origin),
  });
}

const NOT_ISSUED = ({ iovaLow, iovaHigh }: DmaRange): DmaResult => ({
  outcome: 'aborted',
  requests: 0,
  bytesDone: 0,
  data: undefined,
  failedIova: BigInt.asUintN(64, join64(iovaLow, iovaHigh)),
  absentOwner: undefined,
  grants: undefined,
  elapsedNs: 0,
});

/** What is written, or where what is read comes: a range behind the other. */
function checked({ ranges, write, data, pasid, privileged = false, execute = false }: DmaList): Uint8Array {
  checkMode({ operation: write ? 'write' : 'read', pasid, privileged, execute });
  if (pasid !== NO_PASID) checkPasid(pasid);
  if (ranges.length < 1 || ranges.length > DMA_RANGES_MAX) {
    throw new ModelError('EINVAL', `a list has 1 to ${DMA_RANGES_MAX} ranges, not ${ranges.length}`, 'ranges');
  }
  for (const [i, { iovaLow, iovaHigh, bytes }] of ranges.entries()) {
    if (!Number.isInteger(bytes) || bytes < 1) throw new ModelError('EINVAL', `range ${i} has ${bytes} bytes`, `ranges[${i}].bytes`);
    if (iovaHigh === -1 && (iovaLow >>> 0) + bytes > 2 ** 32) {
      throw new ModelError('EINVAL', `range ${i}: ${bytes} bytes from there go beyond 64 bits`, `ranges[${i}].iova`);
    }
  }
  const bytes = ranges.reduce((sum, range) => sum + range.bytes, 0);
  if (bytes > ACCESS_BYTES_MAX) throw new ModelError('EINVAL', `the ranges have ${bytes} bytes; ${ACCESS_BYTES_MAX} at most`, 'ranges');
  if (!write) return new Uint8Array(bytes);
  if (data?.byteLength !== bytes) {
    throw new ModelError('EINVAL', `the ranges have ${bytes} bytes, and data ${data?.byteLength ?? 0}`, 'data');
  }
  return data;
}

function startOf(ranges: readonly DmaRange[], part: number): number {
  return ranges.slice(0, part).reduce((sum, { bytes }) => sum + bytes, 0);
}
