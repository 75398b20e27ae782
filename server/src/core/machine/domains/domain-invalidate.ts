/** Invalidations that a guest asks for of tables that it wrote itself: an array of requests, done in order (IOMMU_HWPT_INVALIDATE). */
import { ModelError, PAGE_BYTES, hex } from '../../base/index.ts';
import { IOVA_LAST } from '../../iommu/index.ts';
import type { DomainInvalidate, InvalidateRequest } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { InvalidateTask, Origin } from '../state.ts';
import { domainOf, iommuOf } from './iommu-commands.ts';
import { awaitMappings } from './mapping-wait.ts';

const PAGE = BigInt(PAGE_BYTES);
/** `npages` for all of the domain (struct iommu_hwpt_vtd_s1_invalidate). */
const ALL_PAGES = IOVA_LAST;

/**
 * Replies with how many requests have been done, each with its IOTLB and ATC invalidations completed: all, or those before the first that cannot be,
 * and its error. -EINVAL, and nothing is done, for a domain whose tables no guest writes, and for a type that is not its format's, also with no request.
 */
export function domainInvalidate(m: Parts, origin: Origin, command: DomainInvalidate): void {
  const domain = domainOf(m, command.domain);
  if (!domain.guestTables) throw new ModelError('EINVAL', `no guest writes the tables of domain ${domain.id}`, 'domain');
  const format = domain.space.tables?.format ?? '';
  if (command.type !== 'vtd-s1' || !format.startsWith('x86-64')) {
    throw new ModelError('EINVAL', `requests of type ${command.type} are not for ${format}`, 'type');
  }
  const { requests } = command;
  domain.pins++;
  const task = m.operations.start<InvalidateTask>(origin, { kind: 'domain-invalidate', domain, requests, processed: 0, sent: false });
  resumeInvalidate(m, task);
}

export function resumeInvalidate(m: Parts, task: InvalidateTask): void {
  const { domain, requests } = task;
  for (;;) {
    if (task.pending > 0) return;
    if (task.sent) task.processed++;
    task.sent = false;
    const request = requests[task.processed];
    const wrong = request === undefined ? '' : whyNot(request);
    if (request === undefined || wrong !== '') {
      finish(m, task, wrong);
      return;
    }
    task.sent = true;
    const iommu = iommuOf(m);
    if (request.pages === ALL_PAGES) {
      iommu.flushIotlb(domain);
      awaitMappings(m, task, domain, { iova: 0n, bytes: IOVA_LAST + 1n }, iommu.atcFlush(domain));
    } else {
      const range = { iova: request.iova, bytes: request.pages * PAGE };
      iommu.invalidateIotlb(domain, range.iova, range.bytes);
      awaitMappings(m, task, domain, range, iommu.atcInvalidations(domain, range.iova, range.bytes));
    }
  }
}

/** What is wrong with a request; empty: nothing. */
function whyNot({ iova, pages }: InvalidateRequest): string {
  if (pages === ALL_PAGES) return iova === 0n ? '' : `IOVA ${hex(iova)} of a request for everything is not 0`;
  if (iova % PAGE !== 0n) return `IOVA ${hex(iova)} is not a multiple of 4 KiB`;
  return pages > 0n && iova + pages * PAGE - 1n <= IOVA_LAST ? '' : `${pages} pages at IOVA ${hex(iova)} are not a range`;
}

function finish(m: Parts, task: InvalidateTask, wrong: string): void {
  const { domain, processed, timedOut, origin } = task;
  domain.pins--;
  m.operations.end(task);
  const outcome = wrong === '' ? { message: '' } : { error: 'EINVAL' as const, message: `request ${processed}: ${wrong}` };
  m.outbox.reply(origin, { kind: 'domain-invalidate', processed, ...outcome, timedOut, elapsedNs: m.outbox.elapsed(origin) });
}
