/** Domains and their mappings: commands that the IOMMU core carries out, and that wait for what it asks of the hardware. */
import { ModelError, OK, PAGE_BYTES, errno, formatBdf, hex, pageOf, physicalAddress, type Bdf, type Errno } from '../base/index.ts';
import { tablesOf, type Domain, type GroupDevice, type Iommu } from '../iommu/index.ts';
import { atStart, conclude, walk, type Phase } from './call-runner.ts';
import type { DomainAlloc, DomainFree, DomainTarget, IovaToPhys, MapPages, UnmapPages } from './command.ts';
import { awaitTranslated } from './dma-drain.ts';
import { applyEffects, awaitInvalidationsOf } from './invalidation.ts';
import type { Parts } from './parts.ts';
import type { Origin, UnmapTask } from './state.ts';

const PAGE = BigInt(PAGE_BYTES);

export function iommuOf(m: Parts): Iommu {
  if (m.iommu === undefined) throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" has no IOMMU`);
  return m.iommu;
}

/** The function's place in the IOMMU core. ENODEV for an unknown function, EOPNOTSUPP on a machine without an IOMMU. */
export function deviceOf(m: Parts, bdf: Bdf): GroupDevice {
  const device = iommuOf(m).device(bdf);
  if (device === undefined) throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)} behind the IOMMU`, 'function');
  return device;
}

export function domainOf(m: Parts, id: number): Domain {
  const domain = iommuOf(m).domain(id);
  if (domain === undefined) throw new ModelError('ENOENT', `no domain ${id}`, 'domain');
  return domain;
}

function targetOf(m: Parts, target: DomainTarget): Domain {
  if ('domain' in target) return domainOf(m, target.domain);
  const device = deviceOf(m, target.bdf);
  const domain = iommuOf(m).logicalDomain(device, target.pasid);
  if (domain === undefined) {
    throw new ModelError('ENOENT', `${formatBdf(target.bdf)} has no domain attached for PASID ${target.pasid}`, 'pasid');
  }
  return domain;
}

export function domainAlloc(m: Parts, origin: Origin, command: DomainAlloc): void {
  const { type, sharedAddress, format, root } = command;
  if (type !== 'paging' && (format ?? root) !== undefined) {
    throw new ModelError('EINVAL', `a domain of type ${type} has no page tables`, format === undefined ? 'root' : 'format');
  }
  const domain = iommuOf(m).allocDomain(type, sharedAddress, { format, root });
  if (domain === undefined) m.outbox.refuse(origin, 'ENOMEM', 'this machine has as many domains as it may have; free one');
  else m.outbox.reply(origin, { kind: 'domain-alloc', domain: domain.id });
}

export function domainFree(m: Parts, origin: Origin, command: DomainFree): void {
  const error = iommuOf(m).freeDomain(command.domain);
  if (error === OK) m.outbox.ok(origin);
  else m.outbox.refuse(origin, error, `domain ${command.domain} ${error === errno('ENOENT') ? 'does not exist' : 'is attached'}`, 'domain');
}

export function map(m: Parts, origin: Origin, command: MapPages): void {
  const domain = targetOf(m, command.target);
  const address = physicalAddress(command.address);
  const error = tablesOf(domain).map(command.iova, address, command.bytes, command.access);
  if (error !== OK) {
    m.outbox.refuse(origin, error, mapRefusal(command, domain, error), 'iova');
    return;
  }
  m.trace.emit('mapped', domain.id, pageOf(command.iova), pageOf(address), pageOf(command.bytes));
  m.outbox.ok(origin);
}

function mapRefusal(command: MapPages, domain: Domain, error: Errno): string {
  const range = `${hex(command.bytes)} bytes at IOVA ${hex(command.iova)} to ${hex(command.address)} in domain ${domain.id}`;
  if (error === errno('EOPNOTSUPP')) return `map of ${range}: a guest writes its tables`;
  const { format } = tablesOf(domain);
  return `map of ${range}: addresses and size fit ${format} and are multiples of its smallest page; readable or writable, and not mapped yet`;
}

/**
 * Replies when its pages may be reused: every request translated with the old entries was performed, and every ATC invalidation
 * completed or timed out (design §6).
 */
export function unmap(m: Parts, origin: Origin, command: UnmapPages): void {
  const domain = targetOf(m, command.target);
  tablesOf(domain);
  const { iova, bytes } = command;
  if ((iova | bytes) % PAGE !== 0n || bytes === 0n) {
    throw new ModelError(
      'EINVAL',
      `unmap of ${hex(bytes)} bytes at IOVA ${hex(iova)}: both are multiples of 4 KiB, and not 0 bytes`,
      'iova',
    );
  }
  const call = m.operations.start<UnmapTask>(origin, {
    kind: 'unmap',
    ...atStart('unmap', undefined),
    domain,
    iova,
    asked: bytes,
    bytes: 0n,
  });
  domain.pins++;
  resumeUnmap(m, call);
}

export function resumeUnmap(m: Parts, call: UnmapTask): void {
  walk(m, call, UNMAP);
}

const UNMAP: readonly Phase<UnmapTask>[] = [
  {
    step: 'tables',
    run(m, call) {
      call.bytes = iommuOf(m).unmap(call.domain, call.iova, call.asked);
      return true;
    },
  },
  {
    step: 'iotlb',
    run(m, call) {
      const { domain, iova, bytes } = call;
      if (bytes > 0n) iommuOf(m).invalidateIotlb(domain, iova, bytes);
      for (const fn of m.functionList) awaitTranslated(fn, domain.space.id, pageOf(iova), pageOf(bytes), call);
      return true;
    },
  },
  {
    step: 'atc-sent',
    run(m, call) {
      const { domain, iova, bytes } = call;
      awaitInvalidationsOf(m, domain.space.id, pageOf(iova), pageOf(bytes), call);
      applyEffects(m, call, iommuOf(m).atcInvalidations(domain, iova, bytes));
      return true;
    },
  },
  {
    step: 'atc-completed',
    run(m, call) {
      if (call.pending > 0) return false;
      const { domain, iova, bytes, timedOut, origin } = call;
      domain.pins--;
      conclude(m, call);
      m.trace.emit('unmapped', domain.id, pageOf(iova), pageOf(bytes), timedOut);
      m.outbox.reply(origin, { kind: 'unmap', bytes, timedOut, elapsedNs: m.outbox.elapsed(origin) });
      return true;
    },
  },
];

/** iommu_iova_to_phys(): what the tables say, whatever is attached. */
export function iovaToPhys(m: Parts, origin: Origin, command: IovaToPhys): void {
  const domain = targetOf(m, command.target);
  if (domain.type === 'identity') {
    m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: true, address: command.iova });
    return;
  }
  const found = domain.space.tables?.lookup(command.iova);
  m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: found !== undefined, address: found?.address ?? 0n });
}
