/** Which domain a group has when nobody has taken it, and how that is chosen (iommu_get_default_domain_type, iommu_group_store_type). */
import { OK } from '../base/index.ts';
import { planAttach } from './attach.ts';
import type { DefaultWish, Domain, Group } from './group.ts';
import type { GroupStep, Plan } from './steps.ts';

/** As sysfs `type` of a group has them, in lower case: addresses are physical; the DMA API maps, and flushes at once; it flushes later, many unmaps together. */
export const DEFAULT_TYPES = ['identity', 'dma', 'dma-fq'] as const;
export type DefaultType = (typeof DEFAULT_TYPES)[number];

/**
 * The type that the members agree on: identity where they want both; DMA where one is untrusted. Otherwise `asked`, or where nothing is asked what the
 * machine was booted with. Undefined where an untrusted member meets a wish for identity, or what is asked is not what they agree on.
 */
export function chooseDefault(
  members: readonly DefaultWish[],
  asked: DefaultType | undefined,
  booted: DefaultType,
): DefaultType | undefined {
  let agreed = members.find(({ wants }) => wants === 'identity')?.wants ?? members.find(({ wants }) => wants !== undefined)?.wants;
  if (members.some(({ untrusted }) => untrusted)) {
    if (agreed === 'identity') return undefined;
    agreed = 'dma';
  }
  if (asked !== undefined && agreed !== undefined && asked !== agreed) return undefined;
  return asked ?? agreed ?? booted;
}

/** What a default domain is called; undefined where a group has none. */
export function defaultType(domain: Domain | undefined): DefaultType | undefined {
  if (domain === undefined) return undefined;
  if (domain.type === 'identity') return 'identity';
  return domain.dma?.lazy === true ? 'dma-fq' : 'dma';
}

/**
 * Whether another default domain may be asked for: -EINVAL where the group has none; -EPERM while a driver of its own uses the group, which here is an
 * owner, a domain that is not the default, or a PASID.
 */
export function mayChangeDefault(group: Group): 'EINVAL' | 'EPERM' | undefined {
  if (group.defaultDomain === undefined) return 'EINVAL';
  return group.owned || group.domain !== group.defaultDomain || group.pasids.size > 0 ? 'EPERM' : undefined;
}

/** iommu_setup_default_domain(): `fresh` is the default before the members move, and no longer where one is refused. -EBUSY in a window. */
export function planDefault(group: Group, fresh: Domain): Plan {
  const named = (domain: Domain | undefined): GroupStep => ({ kind: 'default-domain', group, domain });
  const { error, steps } = planAttach(group, fresh, [named(group.defaultDomain)]);
  return { error, steps: error === OK ? [named(fresh), ...steps] : steps };
}
