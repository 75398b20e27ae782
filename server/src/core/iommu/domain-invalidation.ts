/** What goes when mappings of a domain have changed. */
import { NO_PASID, PAGE_BYTES, pageOf, type Pasid } from '../base/index.ts';
import type { Translation } from '../translation/index.ts';
import type { Domain, GroupDevice, IommuEffect } from './group.ts';

/**
 * Its IOTLB entries of the range, now. Of a domain that is nested on it all goes: whose addresses of the first stage the change is about, nobody knows
 * (`arm_smmu_domain_inv_range`, nest_parent).
 */
export function invalidateIotlb(translation: Translation, domain: Domain, iova: bigint, bytes: bigint): void {
  translation.invalidateRange(domain.space, iova, bytes);
  for (const nested of domain.nested) translation.invalidateSpace(nested.space);
}

/** The same for all of a domain (`flush_iotlb_all`). */
export function flushIotlb(translation: Translation, domain: Domain): void {
  for (const { space } of [domain, ...domain.nested]) translation.invalidateSpace(space);
}
export function atcFlush(devices: Iterable<GroupDevice>, domain: Domain): readonly IommuEffect[] {
  return atcInvalidationsOf(devices, domain, 0, Infinity);
}

/** What functions hold of them, by Invalidate Requests to be sent and awaited; of a nested domain all of it again. */
export function atcInvalidations(devices: Iterable<GroupDevice>, domain: Domain, iova: bigint, bytes: bigint): readonly IommuEffect[] {
  return atcInvalidationsOf(devices, domain, pageOf(iova), pageOf(bytes + BigInt(PAGE_BYTES) - 1n));
}

function atcInvalidationsOf(devices: Iterable<GroupDevice>, domain: Domain, firstPage: number, pages: number): readonly IommuEffect[] {
  const effects: IommuEffect[] = [];
  if (pages === 0) return effects;
  for (const device of devices) {
    // A fence has asked for the whole ATC already, and what prepare awaits must not grow behind it (invariant 16).
    if (!atcInUse(device) || device.atcFenced) continue;
    for (const { pasid, domain: held } of heldBy(device)) {
      if (held === domain) effects.push({ kind: 'invalidate', device, pasid, firstPage, pages, spaces: [domain.space] });
      else if (domain.nested.has(held))
        effects.push({ kind: 'invalidate', device, pasid, firstPage: 0, pages: Infinity, spaces: [held.space] });
    }
  }
  return effects;
}

/** SMMUv3's driver clears ATS Enable before the fence: until that has moved the RID, writes in flight that were translated before still pass. */
function atcInUse({ atsEnabled, atsSupported, atsWanted, window }: GroupDevice): boolean {
  return atsEnabled || (window.at === 'fencing' && atsSupported && atsWanted);
}

/**
 * The domains that a function may hold translations of: what its contexts point at, its RID's before its PASIDs'; and those that it has just left, and
 * whose ATC invalidation is still to be sent.
 */
function* heldBy(device: GroupDevice): Generator<{ readonly pasid: Pasid; readonly domain: Domain }> {
  yield { pasid: NO_PASID, domain: device.physical };
  for (const [pasid, domain] of device.pasidPhysical) yield { pasid, domain };
  yield* device.leaving;
}
