/** The flush queues of lazy default domains: what is unmapped there waits for a flush of the whole domain, which comes when the queue is full or its time is up. */
import { pageOf } from '../../base/index.ts';
import { FLUSH_TIMEOUT_NS, enqueue, isFull, takeFlushed, type DmaDomain, type Domain } from '../../iommu/index.ts';
import { applyEffects } from '../ats/invalidation.ts';
import { atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import type { Parts } from '../parts.ts';
import type { FlushTask, UnmapTask } from '../state.ts';
import { iommuOf } from './iommu-commands.ts';
import { awaitInFlight, awaitSent } from './mapping-wait.ts';

/** More than any domain has. */
const EVERYTHING = 1n << 64n;

/** queue_iova(): false while the queue is full, until a flush that the call awaits has made room. */
export function queueUnmapped(m: Parts, call: UnmapTask, dma: DmaDomain): boolean {
  giveBackFlushed(dma);
  if (isFull(dma.queue)) {
    const [atWork] = dma.queue.atWork;
    const flush = atWork === undefined ? startFlush(m, call.domain, dma) : m.operations.get(atWork);
    if (flush?.kind === 'flush' && m.operations.get(flush.id) === flush) {
      flush.waiters.push(call.id);
      call.pending++;
      return false;
    }
    giveBackFlushed(dma);
  }
  enqueue(dma.queue, pageOf(call.iova));
  if (!dma.queue.timerOn) {
    dma.queue.timerOn = true;
    m.clock.set(FLUSH_TIMEOUT_NS, 'flush-queue', call.domain.id);
  }
  return true;
}

/** The queue's time is up (fq_flush_timeout). */
export function flushQueueTimeout(m: Parts, domain: Domain): void {
  if (domain.dma === undefined) return;
  domain.dma.queue.timerOn = false;
  startFlush(m, domain, domain.dma);
}

function startFlush(m: Parts, domain: Domain, dma: DmaDomain): FlushTask {
  const origin = { peer: 0, token: 0, sinceNs: m.clock.nowNs };
  const flush = m.operations.start<FlushTask>(origin, { kind: 'flush', ...atStart('flush', undefined), domain, waiters: [] });
  dma.queue.atWork.add(flush.id);
  resumeFlush(m, flush);
  return flush;
}

export function resumeFlush(m: Parts, flush: FlushTask): void {
  walk(m, flush, FLUSH);
}

const FLUSH: readonly Phase<FlushTask>[] = [
  {
    step: 'iotlb',
    run(m, flush) {
      const { domain } = flush;
      if (domain.dma !== undefined) domain.dma.queue.started++;
      iommuOf(m).flushIotlb(domain);
      awaitInFlight(m, flush, domain, 0n, EVERYTHING);
      return true;
    },
  },
  {
    step: 'atc-sent',
    run(m, flush) {
      awaitSent(m, flush, flush.domain, 0n, EVERYTHING);
      applyEffects(m, flush, iommuOf(m).atcFlush(flush.domain));
      return true;
    },
  },
  {
    step: 'atc-completed',
    run(m, flush) {
      if (flush.pending > 0) return false;
      const { dma } = flush.domain;
      if (dma !== undefined) {
        dma.queue.finished++;
        dma.queue.atWork.delete(flush.id);
        giveBackFlushed(dma);
      }
      conclude(m, flush);
      for (const waiter of flush.waiters) m.operations.settle(waiter);
      return true;
    },
  },
];

function giveBackFlushed(dma: DmaDomain): void {
  for (const page of takeFlushed(dma.queue)) dma.iova.release(page);
}

/** Whether this unmap gives an address back, and from when on it is on its way. */
export function leaveIova(domain: Domain, iova: bigint, bytes: bigint): boolean {
  return domain.dma?.iova.leave(pageOf(iova), pageOf(bytes)) ?? false;
}

/** The address that the unmap of a strict domain is about is free when nothing is cached of it; one that was not mapped as a whole stays given away. */
export function giveBack(domain: Domain, iova: bigint, whole: boolean): void {
  const page = pageOf(iova);
  if (whole) domain.dma?.iova.release(page);
  else domain.dma?.iova.stay(page);
}
