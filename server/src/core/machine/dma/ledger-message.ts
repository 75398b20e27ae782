/** Entries of the ledger that are messages of a function and no DMA: posted, they stand behind the writes that it issued before. */
import { NO_PASID } from '../../base/index.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState, Request } from '../state.ts';
import { enter } from './dma-ledger.ts';
import { NOBODY } from './watchers.ts';

/** `kind` says which message; the rest is what differs from one that holds nothing and has no address. Returns its number. */
export function enterMessage(
  m: Parts,
  fn: FunctionState,
  kind: Extract<Request['kind'], 'invalidation-completion' | 'page-request' | 'intx'>,
  fields: Partial<Pick<Request, 'operation' | 'iovaLow' | 'iovaHigh' | 'pasid' | 'access' | 'itags' | 'completions' | 'holdAt' | 'holdNs'>>,
): number {
  const id = m.nextRequest++;
  enter(m, {
    id,
    fn,
    kind,
    task: undefined,
    operation: 'write',
    posted: true,
    iovaLow: 0,
    iovaHigh: 0,
    bytes: 0,
    dataOffset: 0,
    pasid: NO_PASID,
    translated: false,
    viaAtc: false,
    walk: undefined,
    itags: 0,
    completions: 1,
    epoch: fn.epoch,
    sinceNs: m.clock.nowNs,
    holdAt: undefined,
    holdNs: 0,
    holdAlarm: 0,
    held: false,
    timesOut: false,
    lateNs: 0,
    stalledBy: 0,
    point: 'issued',
    page: -1,
    access: 0,
    spaceId: -1,
    owner: 0,
    peer: undefined,
    stoppedBy: undefined,
    dead: false,
    overtaken: false,
    onPerformed: NOBODY,
    onEnded: NOBODY,
    ...fields,
  });
  return id;
}
