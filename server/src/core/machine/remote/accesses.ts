/** Register accesses that a peer answers: how they reach it, and what the host gets when an answer comes, or none. */
import { ModelError, REGION, formatBdf, hex, type ErrorName } from '../../base/index.ts';
import { completionTimeoutNs } from '../../pci/index.ts';
import { valueReply } from '../bus/ram-value.ts';
import type { RegionWriteItem } from '../command.ts';
import { allOnes, isDisconnected } from '../dma/gate.ts';
import { reportError } from '../errors/bus-errors.ts';
import { completionHeader } from '../errors/tlp-header.ts';
import { functionNumbered } from '../function-state.ts';
import type { PeerAnswer } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Owed, Peer } from '../peers.ts';
import type { FunctionState, Operation, Origin, PeerAccessTask } from '../state.ts';
import { noteConfigRead } from './own-config.ts';

/** Writes that are sent in one call: with their envelope they fit the smallest frame that a peer may accept. */
const WRITES_PER_CALL_MAX = 128;
const WORD_BYTES = 4;
type AccessOwed = Extract<Owed, { kind: 'access' }>;
/** What is said of an access when it begins; each of its parts is a call. */
type Asked = Pick<PeerAccessTask, 'bytes' | 'reply' | 'region' | 'offset'>;

/** The width is one that its emulator takes, or `EINVAL`. */
export function checkWidth(fn: FunctionState, bytes: number): void {
  if (fn.claim === undefined || (fn.claim.widths & bytes) !== 0) return;
  const taken = [1, 2, 4, 8].filter((width) => ((fn.claim?.widths ?? 0) & width) !== 0).join(', ');
  throw new ModelError('EINVAL', `the emulator of ${formatBdf(fn.bdf)} takes accesses of ${taken} bytes, not of ${bytes}`, 'bytes');
}

export function forwardRead(m: Parts, origin: Origin, fn: FunctionState, peer: Peer, region: number, offset: number, bytes: number): void {
  const task = start(m, origin, fn, peer, { bytes, reply: 'region-read', region, offset });
  ask(m, fn, peer, task, offset, bytes);
  awaitCompletion(m, fn, task);
}

/** Of configuration space, a word a call. */
export function forwardConfigRead(m: Parts, origin: Origin, fn: FunctionState, peer: Peer, offset: number, bytes: number): void {
  const task = start(m, origin, fn, peer, { bytes, reply: 'config-read', region: REGION.config, offset });
  for (let at = offset; at < offset + bytes; at += WORD_BYTES) ask(m, fn, peer, task, at, WORD_BYTES);
  awaitCompletion(m, fn, task);
}

function ask(m: Parts, fn: FunctionState, peer: Peer, task: PeerAccessTask, offset: number, bytes: number): void {
  task.parts++;
  const owed = { kind: 'access', operation: task.id, expects: 'value', bytes, at: offset - task.offset } as const;
  m.peers.call(peer, { kind: 'region-read', bdf: fn.bdf, region: task.region, offset, bytes }, owed);
}

/** A configuration write is answered in any case: it is no posted request (PCIe Base r6.0 §2.1.1). */
export function forwardWrite(m: Parts, origin: Origin, fn: FunctionState, peer: Peer, write: RegionWriteItem): void {
  const { region, offset, bytes, valueLow, valueHigh } = write;
  const call = { kind: 'region-write', bdf: fn.bdf, region, offset, bytes, valueLow, valueHigh } as const;
  const isConfig = region === REGION.config;
  if (!isConfig && fn.claim?.postedWrites === true) {
    m.peers.post(peer, call);
    m.outbox.ok(origin);
    return;
  }
  const task = start(m, origin, fn, peer, { bytes, reply: 'ok', region, offset });
  task.parts = 1;
  m.peers.call(peer, call, { kind: 'access', operation: task.id, expects: 'ok', bytes });
  if (isConfig) awaitCompletion(m, fn, task);
}

/** Writes to BARs that were made in one call. Each of the calls that they become gets a reply at `origin`; returns how many these are. */
export function forwardWrites(m: Parts, origin: Origin, fn: FunctionState, peer: Peer, writes: readonly RegionWriteItem[]): number {
  let calls = 0;
  for (let from = 0; from < writes.length; from += WRITES_PER_CALL_MAX) {
    calls++;
    const some = writes.slice(from, from + WRITES_PER_CALL_MAX);
    const call = { kind: 'region-write-multi', bdf: fn.bdf, writes: some } as const;
    if (fn.claim?.postedWrites === true) {
      m.peers.post(peer, call);
      m.outbox.ok(origin);
      continue;
    }
    const [first] = some;
    const task = start(m, origin, fn, peer, {
      bytes: first?.bytes ?? 0,
      reply: 'ok',
      region: first?.region ?? 0,
      offset: first?.offset ?? 0,
    });
    task.parts = 1;
    m.peers.call(peer, call, { kind: 'access', operation: task.id, expects: 'ok', bytes: 0 });
  }
  return calls;
}

function start(m: Parts, origin: Origin, fn: FunctionState, peer: Peer, { bytes, reply, region, offset }: Asked): PeerAccessTask {
  return m.operations.start<PeerAccessTask>(origin, {
    kind: 'peer-access',
    index: fn.index,
    bytes,
    reply,
    owner: peer.id,
    region,
    offset,
    parts: 0,
    data: reply === 'config-read' ? new Uint8Array(bytes) : undefined,
  });
}

/** The requester of a host's access is the port that it leaves the root complex by; an integrated function's own timeout stands for that of its requester. */
function requesterOf(fn: FunctionState): FunctionState {
  return fn.path.at(-1) ?? fn;
}

function awaitCompletion(m: Parts, fn: FunctionState, task: PeerAccessTask): void {
  const ns = completionTimeoutNs(requesterOf(fn).config);
  if (ns > 0) task.alarm = m.clock.set(ns, 'operation', task.id);
}

/** One for an access that has ended meanwhile came too late. */
export function accessAnswered(m: Parts, owed: AccessOwed, answer: PeerAnswer): void {
  const task = m.operations.get(owed.operation);
  if (task?.kind !== 'peer-access') {
    if (owed.late !== undefined) completesLate(m, owed, owed.late);
    return;
  }
  if (answer.kind === 'error') {
    refuseAccess(m, task, answer.code, answer.message);
    return;
  }
  if (task.reply === 'config-read' && answer.kind === 'value' && task.data !== undefined) {
    new DataView(task.data.buffer).setUint32(owed.at ?? 0, answer.valueLow, true);
  }
  const fn = functionNumbered(m, task.index);
  if (fn !== undefined && task.region === REGION.config && answer.kind === 'value') {
    noteConfigRead(m, fn, task.offset + (owed.at ?? 0), owed.bytes, answer.valueLow);
  }
  if (--task.parts > 0) return;
  endAccess(m, task);
  if (answer.kind === 'data' && task.reply === 'region-read') m.outbox.reply(task.origin, valueReply(answer.data));
  else if (answer.kind === 'data') m.outbox.reply(task.origin, { kind: 'memory-read', data: answer.data });
  else if (task.data !== undefined) m.outbox.reply(task.origin, { kind: 'config-read', data: task.data });
  else if (answer.kind === 'value')
    m.outbox.reply(task.origin, { kind: 'region-read', valueLow: answer.valueLow, valueHigh: answer.valueHigh });
  else m.outbox.ok(task.origin);
}

/**
 * An Unexpected Completion of the requester (PCIe Base r6.0 §2.3.2), advisory (§6.2.3.2.4.5): the root port. What was reset or went down meanwhile has sent
 * none.
 */
function completesLate(m: Parts, { bytes }: AccessOwed, { index, life, offset }: NonNullable<AccessOwed['late']>): void {
  const fn = functionNumbered(m, index);
  const root = fn?.path.at(-1);
  if (fn === undefined || root === undefined || fn.modelLife !== life || isDisconnected(fn)) return;
  reportError(m, root, 'unexpected-completion', true, completionHeader(root.bdf, bytes, offset, 0, fn.bdf));
}

/** The completion has not come in time. The requester makes all ones of it, and tells (§2.8); whoever looks at the log sees who owes it. */
export function accessTimedOut(m: Parts, task: PeerAccessTask): void {
  const fn = functionNumbered(m, task.index);
  task.alarm = 0;
  endAsNobodyAnswers(m, task);
  if (fn === undefined) return;
  for (const owed of m.peers.get(task.owner)?.owed.values() ?? []) {
    if (owed.kind !== 'access' || owed.operation !== task.id) continue;
    owed.late = { index: fn.index, life: fn.modelLife, offset: task.offset + (owed.at ?? 0) };
  }
  m.outbox.log('warn', fn.bdf, `${formatBdf(fn.bdf)}: completion timeout: peer ${task.owner} has not answered ${whatText(task)}`);
  const root = fn.path.at(-1);
  if (root !== undefined) reportError(m, root, 'completion-timeout', false);
}

/** An access ends as it does where nothing is. */
export function endAsNobodyAnswers(m: Parts, task: PeerAccessTask): void {
  endAccess(m, task);
  const { origin, reply, bytes } = task;
  if (reply === 'region-read') {
    m.outbox.reply(origin, { kind: 'region-read', valueLow: allOnes(bytes), valueHigh: bytes > WORD_BYTES ? -1 : 0 });
  } else if (reply === 'config-read') {
    m.outbox.reply(origin, { kind: 'config-read', data: new Uint8Array(bytes).fill(0xff) });
  } else {
    m.outbox.ok(origin);
  }
}

/** Its peer is silent past the watchdog. Where the machine's clock passes now, the completion timeout says what comes of it. */
export function accessUnanswered(m: Parts, operation: Operation | undefined): void {
  if (operation?.kind !== 'peer-access') return;
  if (operation.alarm !== 0 && m.spec.clock !== 'manual') return;
  refuseAccess(m, operation, 'ETIMEDOUT', `peer ${operation.owner} has not answered ${whatText(operation)}`);
}

export function refuseAccess(m: Parts, task: PeerAccessTask, code: ErrorName, message: string): void {
  endAccess(m, task);
  m.outbox.refuse(task.origin, code, message);
}

function endAccess(m: Parts, task: PeerAccessTask): void {
  if (task.alarm !== 0) m.clock.cancel(task.alarm);
  m.operations.end(task);
}

function whatText({ index, reply, region, offset, bytes }: PeerAccessTask): string {
  const access = reply === 'ok' ? 'a write' : 'a read';
  if (index < 0) return `${access} of ${bytes} bytes of its memory`;
  const place = region === REGION.config ? 'configuration space' : `BAR ${region}`;
  return `${access} of ${bytes} bytes at ${hex(offset)} of ${place}`;
}
