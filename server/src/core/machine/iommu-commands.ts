/** Domains and their mappings: commands that the IOMMU core carries out, and that wait for what it asks of the hardware. */
import { ModelError, OK, PAGE_BYTES, errno, formatBdf, hex, pageOf, physicalAddress, type Bdf, type Errno } from '../base/index.ts';
import { tablesOf, type Domain, type GroupDevice, type Iommu } from '../iommu/index.ts';
import { atStart, conclude, walk, type Phase } from './call-runner.ts';
import type { DomainFree, DomainTarget, IovaToPhys, MapPages, UnmapPages } from './command.ts';
import { applyEffects } from './invalidation.ts';
import { awaitInFlight, awaitSent } from './mapping-wait.ts';
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

export function domainOf(m: Parts, id: number, field = 'domain'): Domain {
  const domain = iommuOf(m).domain(id);
  if (domain === undefined) throw new ModelError('ENOENT', `no domain ${id}`, field);
  return domain;
}

export function targetOf(m: Parts, target: DomainTarget): Domain {
  if ('domain' in target) return domainOf(m, target.domain);
  const device = deviceOf(m, target.bdf);
  const domain = iommuOf(m).logicalDomain(device, target.pasid);
  if (domain === undefined) {
    throw new ModelError('ENOENT', `${formatBdf(target.bdf)} has no domain attached for PASID ${target.pasid}`, 'pasid');
  }
  return domain;
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
