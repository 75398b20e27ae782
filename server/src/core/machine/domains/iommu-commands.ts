/** Domains: commands that the IOMMU core carries out by itself, and how commands name functions and domains. */
import { ModelError, NO_PASID, OK, errno, formatBdf, type Bdf } from '../../base/index.ts';
import type { Domain, GroupDevice, Iommu } from '../../iommu/index.ts';
import type { DomainFree, DomainTarget } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { Origin } from '../state.ts';

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
    if (target.pasid === NO_PASID) throw new ModelError('ENOENT', `${formatBdf(target.bdf)} has no domain`, 'function');
    throw new ModelError('ENOENT', `${formatBdf(target.bdf)} has no domain attached for PASID ${target.pasid}`, 'pasid');
  }
  return domain;
}

export function domainFree(m: Parts, origin: Origin, command: DomainFree): void {
  const ioas = iommuOf(m).domain(command.domain)?.ioas;
  const error = iommuOf(m).freeDomain(command.domain);
  for (const domain of ioas?.domains ?? []) if (error === OK && domain.id === command.domain) ioas?.domains.delete(domain);
  if (error === OK) m.outbox.ok(origin);
  else m.outbox.refuse(origin, error, `domain ${command.domain} ${error === errno('ENOENT') ? 'does not exist' : 'is attached'}`, 'domain');
}
