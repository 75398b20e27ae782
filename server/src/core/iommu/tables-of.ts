import { ModelError } from '../base/index.ts';
import type { AddressSpace } from '../translation/index.ts';
import type { Domain } from './group.ts';

/** The tables of a paging domain; another type is EINVAL. */
export function tablesOf(domain: Domain): NonNullable<AddressSpace['tables']> {
  if (domain.space.tables === undefined) {
    throw new ModelError('EINVAL', `domain ${domain.id} is ${domain.type}; only a paging domain has mappings`, 'domain');
  }
  return domain.space.tables;
}
