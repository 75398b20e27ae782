/** What ties an I/O address space to domains and functions: iommufd's hardware page tables, and the reserved regions that come with a function. */
import { OK, PAGE_BYTES, errno, type Errno } from '../base/index.ts';
import { formatNamed } from '../translation/index.ts';
import type { Domain, Group } from './group.ts';
import type { Constraints, Ioas, IoasArea } from './ioas.ts';
import { IOVA_LAST, type IovaRange } from './iova-ranges.ts';

/** Addresses that a format has not: above its lower half where it has two (domain geometry). */
function beyond({ space }: Domain): IovaRange[] {
  const format = formatNamed(space.tables?.format ?? '');
  if (format === undefined) return [];
  const bits = 12 + format.inputBits - (format.signed ? 1 : 0);
  return bits >= 64 ? [] : [{ first: 1n << BigInt(bits), last: IOVA_LAST }];
}

function smallestPage({ space }: Domain): bigint {
  const format = formatNamed(space.tables?.format ?? '');
  return BigInt(PAGE_BYTES) << BigInt(format?.leafSizes.at(-1)?.sizeLg2 ?? 0);
}

/** A group's regions that its functions reserve when they are attached; relaxable ones are not enforced (iopt_table_enforce_dev_resv_regions). */
function regionsOf(group: Group): IovaRange[] {
  return group.members.flatMap((device) =>
    device.reservedRegions
      .filter(({ type }) => type !== 'direct-relaxable')
      .map(({ address, bytes }) => ({ first: address, last: address + bytes - 1n })),
  );
}

export function constraintsOf(ioas: Ioas, groups: readonly Group[]): Constraints {
  const domains = [...ioas.domains];
  const attached = groups.filter((group) => group.domain?.ioas === ioas || ioas.joining.has(group));
  return {
    reserved: [...attached.flatMap(regionsOf), ...domains.flatMap(beyond)],
    alignment: domains.reduce((most, domain) => (smallestPage(domain) > most ? smallestPage(domain) : most), 1n),
  };
}

/**
 * iopt_table_add_domain(): the domain gets all areas. -EADDRINUSE where one does not fit its format or its smallest page, -ENOMEM; then it has none.
 */
export function addDomain(ioas: Ioas, domain: Domain): Errno {
  const alignment = smallestPage(domain);
  const fits = ({ first, last, address }: IoasArea): boolean => (first | (last + 1n) | address) % alignment === 0n;
  if (ioas.mayReserve(beyond(domain)) !== OK || !ioas.areas.every(fits)) return errno('EADDRINUSE');
  for (const area of ioas.areas) {
    const error = area.leaving ? OK : mapArea(domain, area);
    if (error === OK) continue;
    for (const done of ioas.areas.slice(0, ioas.areas.indexOf(area))) unmapArea(domain, done);
    return error;
  }
  ioas.domains.add(domain);
  domain.ioas = ioas;
  return OK;
}

/** Into the tables of every domain, or of none. */
export function mapEverywhere(ioas: Ioas, area: IoasArea): Errno {
  const done: Domain[] = [];
  for (const domain of ioas.domains) {
    const error = mapArea(domain, area);
    if (error === OK) {
      done.push(domain);
      continue;
    }
    for (const other of done) unmapArea(other, area);
    return error;
  }
  return OK;
}

/** Takes back a map that nothing has used yet. */
export function unmapEverywhere(ioas: Ioas, area: IoasArea): void {
  for (const domain of ioas.domains) unmapArea(domain, area);
}

function mapArea({ space }: Domain, { first, last, address, access }: IoasArea): Errno {
  return space.tables?.map(first, address, last - first + 1n, access) ?? errno('EINVAL');
}

function unmapArea({ space }: Domain, { first, last }: IoasArea): void {
  space.tables?.unmap(first, last - first + 1n);
}

/**
 * The group is about to be attached to a domain: what iommufd asks of it besides, where the domain is an address space's. -EINVAL where nobody has
 * claimed it, -EADDRINUSE where an area or an allowed range is in a region that it reserves.
 */
export function join(group: Group, domain: Domain): Errno {
  const { ioas } = domain;
  if (ioas === undefined) return OK;
  if (!group.owned) return errno('EINVAL');
  const error = ioas.mayReserve(regionsOf(group));
  if (error === OK) ioas.joining.add(group);
  return error;
}
