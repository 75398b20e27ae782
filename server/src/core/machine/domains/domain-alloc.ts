import { ModelError } from '../../base/index.ts';
import type { DomainAlloc } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { Origin } from '../state.ts';
import { fillDomain, ioasOf } from './ioas-domains.ts';
import { domainOf, iommuOf } from './iommu-commands.ts';

/** Fields that say which tables a paging domain has, and their names on the wire. */
const OF_TABLES = {
  format: 'format',
  root: 'root',
  parent: 'parent',
  dirtyTracking: 'dirty_tracking',
  accessedDirty: 'accessed_dirty',
  ioas: 'ioas',
} as const;

export function domainAlloc(m: Parts, origin: Origin, command: DomainAlloc): void {
  const { type, sharedAddress, parent } = command;
  for (const [field, name] of Object.entries(OF_TABLES)) {
    const value = command[field as keyof typeof OF_TABLES];
    if (type !== 'paging' && value !== undefined && value !== false) {
      throw new ModelError('EINVAL', `a domain of type ${type} has no page tables`, name);
    }
  }
  if (type === 'blocked' && m.spec.iommu?.blockedDomain === false) {
    m.outbox.refuse(origin, 'EOPNOTSUPP', 'the driver of this IOMMU has no blocked domain', 'type');
    return;
  }
  const { format, root, dirtyTracking, accessedDirty, faults } = command;
  if (type !== 'paging' && faults === true) throw new ModelError('EINVAL', `a domain of type ${type} has no page faults`, 'faults');
  if (command.ioas !== undefined && root !== undefined)
    throw new ModelError('EINVAL', 'a guest writes these tables; an I/O address space would too', 'ioas');
  const ioas = command.ioas === undefined ? undefined : ioasOf(m, command.ioas);
  const tables = { format, root, dirtyTracking, accessedDirty };
  const iommu = iommuOf(m);
  const second = parent === undefined ? undefined : domainOf(m, parent, 'parent');
  const domain = iommu.allocDomain(type, { sharedAddress, tables, parent: second, faults });
  if (domain === undefined) {
    m.outbox.refuse(origin, 'ENOMEM', 'this machine has as many domains as it may have; free one');
    return;
  }
  if (ioas !== undefined) fillDomain(m, ioas, domain);
  m.outbox.reply(origin, { kind: 'domain-alloc', domain: domain.id });
}
