/** Maps and unmaps of a domain: what waits until nothing uses the old mapping any more. */
import { ModelError, OK, PAGE_BYTES, errno, hex, pageOf, physicalAddress, type Errno } from '../../base/index.ts';
import { tablesOf, type Domain } from '../../iommu/index.ts';
import { applyEffects } from '../ats/invalidation.ts';
import { atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import type { MapPages, UnmapPages } from '../command.ts';
import { isDirectTarget } from '../dma/dma-direct.ts';
import type { Parts } from '../parts.ts';
import type { Origin, UnmapTask } from '../state.ts';
import { dmaMap } from './dma-api.ts';
import { giveBack, leaveIova, queueUnmapped } from './dma-flush.ts';
import { iommuOf, targetOf } from './iommu-commands.ts';
import { awaitInFlight, awaitSent } from './mapping-wait.ts';

const PAGE = BigInt(PAGE_BYTES);

export function map(m: Parts, origin: Origin, command: MapPages): void {
  const { iova } = command;
  if (iova === undefined) {
    dmaMap(m, origin, command);
    return;
  }
  const domain = targetOf(m, command.target);
  if (refusedForIoas(m, origin, domain)) return;
  const address = physicalAddress(command.address);
  const error = tablesOf(domain).map(iova, address, command.bytes, command.access);
  if (error !== OK) {
    m.outbox.refuse(origin, error, mapRefusal(command, iova, domain, error), 'iova');
    return;
  }
  m.trace.emit('mapped', domain.id, pageOf(iova), pageOf(address), pageOf(command.bytes));
  m.outbox.ok(origin);
}

function mapRefusal(command: MapPages, iova: bigint, domain: Domain, error: Errno): string {
  const range = `${hex(command.bytes)} bytes at IOVA ${hex(iova)} to ${hex(command.address)} in domain ${domain.id}`;
  if (error === errno('EOPNOTSUPP')) return `map of ${range}: a guest writes its tables`;
  const { format } = tablesOf(domain);
  return `map of ${range}: addresses and size fit ${format} and are multiples of its smallest page; readable or writable, and not mapped yet`;
}

/**
 * Replies when its pages may be reused: every request translated with the old entries was performed, and every ATC invalidation
 * completed or timed out (design §6). 0 bytes at once where addresses are physical.
 */
export function unmap(m: Parts, origin: Origin, command: UnmapPages): void {
  if (isDirectTarget(m, command.target)) {
    m.outbox.reply(origin, { kind: 'unmap', bytes: 0n, timedOut: 0, elapsedNs: 0 });
    return;
  }
  const domain = targetOf(m, command.target);
  tablesOf(domain);
  if (refusedForIoas(m, origin, domain)) return;
  const { iova, bytes } = command;
  if ((iova | bytes) % PAGE !== 0n || bytes === 0n) {
    throw new ModelError(
      'EINVAL',
      `unmap of ${hex(bytes)} bytes at IOVA ${hex(iova)}: both are multiples of 4 KiB, and not 0 bytes`,
      'iova',
    );
  }
  startUnmap(m, origin, domain, iova, bytes);
}

/** An I/O address space says what its domains map, and nobody else. */
function refusedForIoas(m: Parts, origin: Origin, domain: Domain): boolean {
  if (domain.ioas === undefined) return false;
  m.outbox.refuse(origin, 'EOPNOTSUPP', `domain ${domain.id} has what I/O address space ${domain.ioas.id} has; map there`, 'domain');
  return true;
}

export function startUnmap(m: Parts, origin: Origin, domain: Domain, iova: bigint, bytes: bigint): void {
  const call = m.operations.start<UnmapTask>(origin, {
    kind: 'unmap',
    ...atStart('unmap', undefined),
    domain,
    iova,
    asked: bytes,
    bytes: 0n,
    givesBack: leaveIova(domain, iova, bytes),
  });
  domain.pins++;
  resumeUnmap(m, call);
}

export function resumeUnmap(m: Parts, call: UnmapTask): void {
  walk(m, call, isLazy(call) ? LAZY_UNMAP : UNMAP);
}

function isLazy(call: UnmapTask): boolean {
  return call.givesBack && call.domain.dma?.lazy === true;
}

const TABLES: Phase<UnmapTask> = {
  step: 'tables',
  run(m, call) {
    call.bytes = iommuOf(m).unmap(call.domain, call.iova, call.asked);
    return true;
  },
};

/** Of the DMA API in a lazy domain: functions may go on using what they or the IOTLB hold of it until a flush. */
const LAZY_UNMAP: readonly Phase<UnmapTask>[] = [
  TABLES,
  {
    step: 'queue',
    run(m, call) {
      if (call.pending > 0) return false;
      const { dma } = call.domain;
      if (dma !== undefined && !queueUnmapped(m, call, dma)) return false;
      replyUnmapped(m, call);
      return true;
    },
  },
];

const UNMAP: readonly Phase<UnmapTask>[] = [
  TABLES,
  {
    step: 'iotlb',
    run(m, call) {
      const { domain, iova, bytes } = call;
      if (bytes > 0n) iommuOf(m).invalidateIotlb(domain, iova, bytes);
      awaitInFlight(m, call, domain, iova, bytes);
      return true;
    },
  },
  {
    step: 'atc-sent',
    run(m, call) {
      const { domain, iova, bytes } = call;
      awaitSent(m, call, domain, iova, bytes);
      applyEffects(m, call, iommuOf(m).atcInvalidations(domain, iova, bytes));
      return true;
    },
  },
  {
    step: 'atc-completed',
    run(m, call) {
      if (call.pending > 0) return false;
      const { domain, iova, bytes, asked, givesBack } = call;
      if (givesBack) giveBack(domain, iova, bytes === asked);
      replyUnmapped(m, call);
      return true;
    },
  },
];

function replyUnmapped(m: Parts, call: UnmapTask): void {
  const { domain, iova, bytes, timedOut, origin } = call;
  domain.pins--;
  conclude(m, call);
  m.trace.emit('unmapped', domain.id, pageOf(iova), pageOf(bytes), timedOut);
  m.outbox.reply(origin, { kind: 'unmap', bytes, timedOut, elapsedNs: m.outbox.elapsed(origin) });
}
