/** DMA that a command starts, holds and lets go. */
import {
  DMA_OPERATIONS,
  HOLD_POINTS,
  ModelError,
  NO_PASID,
  formatBdf,
  pasid as checkPasid,
  type DmaOperation,
  type Pasid,
} from '../../base/index.ts';
import { requestMissing, startFaultingDma } from '../ats/page-request-commands.ts';
import type { DeviceTranslate, DmaAtomic, DmaRead, DmaRelease, DmaWrite, ModelDma } from '../command.ts';
import { ACCESS_BYTES_MAX } from '../memory-commands.ts';
import type { Parts } from '../parts.ts';
import type { DmaTask, FunctionState, Origin } from '../state.ts';
import { unhold } from './dma-hold.ts';
import { issueDma } from './dma-issue.ts';
import { LEDGER_ENTRIES_MAX, advance } from './dma-ledger.ts';

/** Translations that one request may ask for: 8 bytes each, in one completion of the smaller Read Completion Boundary, 64 bytes. */
const TRANSLATIONS_MAX = 8;

const EMPTY = new Uint8Array(0);
const ATOMICS: readonly DmaOperation[] = ['fetch-add', 'swap', 'compare-and-swap'];
const ATOMIC_BYTES = [4, 8, 16];

export function modelDma(m: Parts, origin: Origin, fn: FunctionState, command: ModelDma): void {
  if (!fn.model.initiatesDma) {
    throw new ModelError('EOPNOTSUPP', `${formatBdf(fn.bdf)} is a ${fn.model.name}; only a dma-probe does DMA on command`, 'function');
  }
  startModelDma(m, origin, fn, command);
}

/** On command, or of the model's own. */
export function startModelDma(m: Parts, origin: Origin, fn: FunctionState, command: ModelDma): void {
  checkModelDma(command);
  if (command.onFault === 'page-request') {
    checkPlace(command, command.bytes);
    const task = startFaultingDma(m, origin, fn, command);
    if (requestMissing(m, task)) return;
    m.operations.end(task);
  }
  runModelDma(m, origin, fn, command);
}

export function runModelDma(m: Parts, origin: Origin, fn: FunctionState, command: ModelDma): void {
  const { operation, bytes, hold, holdNs, translated } = command;
  start(m, origin, fn, command, {
    operation,
    bytes,
    data: operation === 'read' ? new Uint8Array(bytes) : (command.data ?? EMPTY),
    translated: translated && operation !== 'translate',
    privileged: command.privileged ?? false,
    execute: command.execute ?? false,
    write: command.write ?? false,
    hold,
    holdNs,
    translations: command.translations ?? 1,
  });
}

function checkModelDma(command: ModelDma): void {
  const { operation, bytes, hold } = command;
  if (!DMA_OPERATIONS.includes(operation)) throw new ModelError('EINVAL', `unknown DMA operation "${String(operation)}"`, 'operation');
  if (command.onFault === 'page-request' && !command.translated && operation !== 'translate') {
    throw new ModelError('EINVAL', 'page requests are for what translation requests are not granted: only with translated', 'on_fault');
  }
  if (hold !== undefined && !HOLD_POINTS.includes(hold)) throw new ModelError('EINVAL', `unknown hold point "${String(hold)}"`, 'hold');
  checkBytes(bytes);
  checkMode(command);
  checkTranslations(command);
  checkOperands(command);
}

/** What is written, or an atomic's operands, and their place. */
function checkOperands({ operation, bytes, data, iovaLow }: Pick<ModelDma, 'operation' | 'bytes' | 'data' | 'iovaLow'>): void {
  const isAtomic = ATOMICS.includes(operation);
  if (isAtomic && (!ATOMIC_BYTES.includes(bytes) || (bytes === 16 && operation !== 'compare-and-swap') || iovaLow % bytes !== 0)) {
    throw new ModelError('EINVAL', `${operation} has 4 or 8 bytes (compare-and-swap also 16), naturally aligned`, 'bytes');
  }
  const needed = operation === 'write' ? bytes : isAtomic ? bytes * (operation === 'compare-and-swap' ? 2 : 1) : undefined;
  if (needed !== undefined && data?.byteLength !== needed) {
    throw new ModelError('EINVAL', `${operation} of ${bytes} bytes needs ${needed} bytes of data, not ${data?.byteLength ?? 0}`, 'data');
  }
}

type Mode = Pick<ModelDma, 'operation' | 'pasid' | 'privileged' | 'execute' | 'write'>;

/** Both stand beside a PASID, and only what is read is executed (PCIe §6.20.2). */
export function checkMode({ operation, pasid, privileged, execute, write }: Mode): void {
  if (write === true && operation !== 'translate') {
    throw new ModelError('EINVAL', `only a translation request says whether it wants to write; a ${operation} does what it does`, 'write');
  }
  const field = privileged === true ? 'privileged' : 'execute';
  if ((privileged === true || execute === true) && pasid === NO_PASID) throw new ModelError('EINVAL', `${field} needs a PASID`, field);
  if (execute === true && operation !== 'read' && operation !== 'translate') {
    throw new ModelError('EINVAL', `a ${operation} executes nothing`, 'execute');
  }
}

function checkTranslations({ operation, translations = 1 }: Pick<ModelDma, 'operation' | 'translations'>): void {
  if (translations !== 1 && operation !== 'translate') {
    throw new ModelError('EINVAL', `only a translation request asks for translations, and a ${operation} for none`, 'translations');
  }
  if (!Number.isInteger(translations) || translations < 1 || translations > TRANSLATIONS_MAX) {
    throw new ModelError(
      'EINVAL',
      `a translation request asks for 1 to ${TRANSLATIONS_MAX} translations, not ${translations}`,
      'translations',
    );
  }
}

/** A translation request of a function's peer. */
export function deviceTranslate(m: Parts, origin: Origin, fn: FunctionState, command: DeviceTranslate): void {
  checkMode({ ...command, operation: 'translate' });
  checkTranslations({ ...command, operation: 'translate' });
  const { privileged, execute, write, translations } = command;
  start(m, origin, fn, command, {
    operation: 'translate',
    bytes: 1,
    data: EMPTY,
    translated: false,
    privileged,
    execute,
    write,
    hold: undefined,
    holdNs: 0,
    translations,
  });
}

export function deviceDmaRead(m: Parts, origin: Origin, fn: FunctionState, command: DmaRead): void {
  checkBytes(command.bytes);
  const { bytes, pasid, privileged = false, execute = false } = command;
  if (privileged || execute) checkMode({ operation: 'read', pasid, privileged, execute });
  start(m, origin, fn, command, {
    operation: 'read',
    bytes,
    data: m.readBuffers.take(bytes),
    translated: command.translated ?? false,
    privileged,
    execute,
    write: false,
    hold: undefined,
    holdNs: 0,
    translations: 1,
  });
}

export function deviceDmaWrite(m: Parts, origin: Origin, fn: FunctionState, command: DmaWrite): void {
  const { data, pasid, privileged = false } = command;
  checkBytes(data.byteLength);
  if (privileged) checkMode({ operation: 'write', pasid, privileged });
  start(m, origin, fn, command, {
    operation: 'write',
    bytes: data.byteLength,
    data,
    translated: command.translated ?? false,
    privileged,
    execute: false,
    write: false,
    hold: undefined,
    holdNs: 0,
    translations: 1,
  });
}

export function deviceDmaAtomic(m: Parts, origin: Origin, fn: FunctionState, command: DmaAtomic): void {
  const { operation, bytes, data, privileged = false } = command;
  if (!ATOMICS.includes(operation))
    throw new ModelError('EINVAL', `${operation} is no atomic; they are ${ATOMICS.join(', ')}`, 'operation');
  checkMode(command);
  checkOperands(command);
  start(m, origin, fn, command, {
    operation,
    bytes,
    data,
    translated: command.translated ?? false,
    privileged,
    execute: false,
    write: false,
    hold: undefined,
    holdNs: 0,
    translations: 1,
  });
}

type DmaFields = Pick<
  DmaTask,
  'operation' | 'bytes' | 'data' | 'translated' | 'privileged' | 'execute' | 'write' | 'hold' | 'holdNs' | 'translations'
>;

interface Place {
  readonly iovaLow: number;
  readonly iovaHigh: number;
  readonly pasid: Pasid;
}

function checkPlace(at: Place, bytes: number): void {
  if (at.pasid !== NO_PASID) checkPasid(at.pasid);
  // Only from the last 4 GiB of 64 bits can it go beyond them.
  if (at.iovaHigh === -1 && (at.iovaLow >>> 0) + bytes > 2 ** 32) {
    throw new ModelError('EINVAL', `${bytes} bytes from there go beyond 64 bits`, 'iova');
  }
}

function start(m: Parts, origin: Origin, fn: FunctionState, at: Place, fields: DmaFields): void {
  checkPlace(at, fields.bytes);
  if (fn.entries.length >= LEDGER_ENTRIES_MAX) {
    const message = `${formatBdf(fn.bdf)} has ${fn.entries.length} requests in flight already; let some go first`;
    m.outbox.refuse(origin, 'EAGAIN', message, 'function');
    return;
  }
  const context = at.pasid === NO_PASID ? fn.context : m.translation.contextHandle(fn.bdf, at.pasid);
  // Every field by name: a spread costs more than the rest of a small DMA.
  const task: DmaTask = {
    id: m.operations.nextId(),
    origin,
    pending: 0,
    completed: 0,
    timedOut: 0,
    alarm: 0,
    kind: 'dma',
    fn,
    life: fn.modelLife,
    operation: fields.operation,
    vector: -1,
    bytes: fields.bytes,
    data: fields.data,
    translated: fields.translated,
    privileged: fields.privileged,
    execute: fields.execute,
    write: fields.write,
    hold: fields.hold,
    holdNs: fields.holdNs,
    iovaLow: at.iovaLow,
    iovaHigh: at.iovaHigh,
    pasid: at.pasid,
    context,
    requests: 0,
    failedAt: fields.bytes,
    absentOwner: 0,
    outcome: 0,
    injected: 0,
    translations: fields.translations,
    completion: undefined,
  };
  m.operations.add(task);
  issueDma(m, task);
}

function checkBytes(bytes: number): void {
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > ACCESS_BYTES_MAX) {
    throw new ModelError('EINVAL', `a DMA has 1 to ${ACCESS_BYTES_MAX} bytes, not ${bytes}; split a larger one`, 'bytes');
  }
}

export function dmaRelease(m: Parts, origin: Origin, fn: FunctionState, command: DmaRelease): void {
  const held = fn.entries.filter((request) => request.held && (command.request === 0 || request.id === command.request));
  if (held.length === 0 && command.request !== 0) {
    m.outbox.refuse(origin, 'ENOENT', `${formatBdf(fn.bdf)} holds no request ${command.request}`, 'request');
    return;
  }
  for (const request of held) unhold(m, request);
  advance(m, fn);
  m.outbox.ok(origin);
}
