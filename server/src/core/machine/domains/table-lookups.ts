/**
 * iommu_iova_to_phys(): what the tables of a domain say, whatever is attached. Where they lie in memory that a peer owns it is asked for one entry after the
 * other, as by a walk for a request, and the call waits; no flag is set. It is an access of the host's, for which the owner gives no credit.
 */
import { PAGE_BYTES } from '../../base/index.ts';
import type { Domain } from '../../iommu/index.ts';
import { entryKey, type EntryWords } from '../../translation/index.ts';
import type { IovaToPhys } from '../command.ts';
import { isDirectTarget } from '../dma/dma-direct.ts';
import type { PeerAnswer } from '../outgoing.ts';
import type { Parts } from '../parts.ts';
import type { Peer } from '../peers.ts';
import type { LookupTask, Operation, Origin } from '../state.ts';
import { targetOf } from './iommu-commands.ts';
import { TABLE_ENTRY_BYTES, wordsOf } from './table-updates.ts';

const NOWHERE = 'lie in no memory, or its owner is gone';
const SILENT = 'lie in memory whose owner is silent';
const NO_ANSWERS: LookupTask['answers'] = new Map();

/** Refused with EPERM where a peer has to be asked for one that only observes, with EIO and ETIMEDOUT as {@link lookupAnswered} has it. */
export function iovaToPhys(m: Parts, origin: Origin, command: IovaToPhys): void {
  const { iova } = command;
  if (isDirectTarget(m, command.target)) {
    m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: true, address: iova });
    return;
  }
  const domain = targetOf(m, command.target);
  if (domain.type === 'identity') {
    m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: true, address: iova });
    return;
  }
  const { awaited } = m.translation;
  if (search(m, origin, domain, iova, NO_ANSWERS)) return;
  if (ownerOf(m) === undefined) {
    m.outbox.refuse(origin, 'EIO', `page tables of domain ${domain.id} ${NOWHERE}`, 'iova');
    return;
  }
  if ('peer' in origin && m.peers.get(origin.peer)?.ordinal === 0) {
    // Nothing depends on an observer: what it asks is no input of the machine, and makes no calls.
    m.outbox.refuse(origin, 'EPERM', `a peer has page tables of domain ${domain.id}, and is asked only for a host`, 'iova');
    return;
  }
  const task = m.operations.start<LookupTask>(origin, { kind: 'lookup', domain, iova, answers: new Map(), changes: awaited.changes });
  domain.pins++;
  ask(m, task);
}

/** Replies and is true, unless an entry is wanted that the answers have not. */
function search(m: Parts, origin: Origin, domain: Domain, iova: bigint, answers: LookupTask['answers']): boolean {
  const { awaited } = m.translation;
  awaited.begin(answers);
  const found = domain.space.tables?.lookup(iova);
  awaited.forget();
  if (found === undefined && awaited.page >= 0) return false;
  m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: found !== undefined, address: found?.address ?? 0n });
  return true;
}

/** The owner of the entry that the last search wanted; undefined: it is in no memory. */
function ownerOf(m: Parts): Peer | undefined {
  return m.peers.get(m.memory.ownerOf(m.translation.awaited.page));
}

function ask(m: Parts, task: LookupTask): void {
  const { page, offset } = m.translation.awaited;
  const peer = ownerOf(m);
  if (peer === undefined) {
    refuse(m, task, 'EIO', NOWHERE);
  } else if (peer.silent) {
    refuse(m, task, 'ETIMEDOUT', SILENT);
  } else {
    const address = BigInt(page) * BigInt(PAGE_BYTES) + BigInt(offset);
    const call = { kind: 'memory-read', address, bytes: TABLE_ENTRY_BYTES, epoch: 0 } as const;
    m.peers.call(peer, call, { kind: 'lookup', operation: task.id, key: entryKey(page, offset) });
  }
}

/** The owner has answered, or (undefined) it is silent past the watchdog: ETIMEDOUT. Where it errs or is gone: EIO. */
export function lookupAnswered(m: Parts, operation: Operation | undefined, key: number, answer: PeerAnswer | undefined): void {
  if (operation?.kind !== 'lookup') return;
  if (answer?.kind === 'data') {
    searchOn(m, operation, key, wordsOf(answer.data));
  } else if (answer?.kind === 'error') {
    refuse(m, operation, 'EIO', `could not be read: ${answer.message}`);
  } else {
    refuse(m, operation, 'ETIMEDOUT', SILENT);
  }
}

/** From the root, with what owners have answered; what was read before an invalidation is not used after it. */
function searchOn(m: Parts, task: LookupTask, key: number, words: EntryWords): void {
  const { answers, domain, iova, origin } = task;
  const { changes } = m.translation.awaited;
  if (task.changes === changes) answers.set(key, words);
  else answers.clear();
  task.changes = changes;
  if (search(m, origin, domain, iova, answers)) end(m, task);
  else ask(m, task);
}

function refuse(m: Parts, task: LookupTask, code: 'EIO' | 'ETIMEDOUT', why: string): void {
  end(m, task);
  m.outbox.refuse(task.origin, code, `page tables of domain ${task.domain.id} ${why}`, 'iova');
}

function end(m: Parts, task: LookupTask): void {
  task.domain.pins--;
  m.operations.end(task);
}
