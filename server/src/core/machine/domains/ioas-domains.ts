/** The domains that stand for an I/O address space: made when a function is attached to it, and gone with the last one. */
import { ModelError, OK, errorName } from '../../base/index.ts';
import { addDomain, type Domain, type Ioas } from '../../iommu/index.ts';
import type { DomainAttach, PasidAttach } from '../command.ts';
import type { Parts } from '../parts.ts';
import { domainOf, iommuOf } from './iommu-commands.ts';

export function ioasOf(m: Parts, id: number, field = 'ioas'): Ioas {
  const ioas = m.ioases.get(id);
  if (ioas === undefined) throw new ModelError('ENOENT', `no I/O address space ${id}`, field);
  return ioas;
}

/** The domain of an attach: named, or of the address space that is named (iommufd_device_auto_get_domain). */
export function attachedDomain(m: Parts, { domain, ioas }: Pick<DomainAttach | PasidAttach, 'domain' | 'ioas'>): Domain {
  if (ioas === undefined) return domainOf(m, domain);
  const space = ioasOf(m, ioas);
  for (const made of space.domains) if (made.auto) return made;
  const made = iommuOf(m).allocDomain('paging', {});
  if (made === undefined) throw new ModelError('ENOMEM', 'this machine has as many domains as it may have; free one');
  fillDomain(m, space, made);
  made.auto = true;
  return made;
}

/** Gives a new domain all areas; ModelError, and the domain is gone, where they do not fit. */
export function fillDomain(m: Parts, ioas: Ioas, domain: Domain): void {
  const error = addDomain(ioas, domain);
  if (error === OK) return;
  iommuOf(m).freeDomain(domain.id);
  throw new ModelError(
    errorName(error),
    `the areas of I/O address space ${ioas.id} do not fit ${domain.space.tables?.format ?? 'a domain'}`,
    'ioas',
  );
}

/** Domains that an attach made, and that nothing is attached to any more, go. */
export function dropUnused(m: Parts): void {
  for (const ioas of m.ioases.values()) {
    for (const domain of ioas.domains) {
      if (domain.auto && iommuOf(m).freeDomain(domain.id) === OK) ioas.domains.delete(domain);
    }
  }
}
