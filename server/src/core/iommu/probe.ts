/** A function when it is probed (iommu_init_device): what the IOMMU core is told of it, and what it keeps. */
import type { Bdf } from '../base/index.ts';
import type { DirectRegion } from './direct-regions.ts';
import type { DefaultWish, Domain, Group, GroupDevice } from './group.ts';
import type { ReservedRegion } from './reserved-regions.ts';

/** What the IOMMU core is told of a function when it is probed. */
export interface ProbedFunction {
  readonly bdf: Bdf;
  /** Other requester IDs under which its requests come. */
  readonly dmaAliases: readonly Bdf[];
  readonly pasidsMax: number;
  readonly atsSupported: boolean;
  readonly atsWanted: boolean;
  readonly invalidateQueueDepth: number;
  /** Memory that firmware uses through the function: mapped 1:1 in the default domain. */
  readonly directRegions: readonly DirectRegion[];
  /** What else of its addresses is reserved. */
  readonly reservedRegions: readonly ReservedRegion[];
  /** The function keeps the context that firmware left, which is none, until its driver's first use. */
  readonly deferAttach: boolean;
  /** The default domain of its group cannot be allocated. */
  readonly noDefaultDomain: boolean;
  /** What it has to say where a default domain is chosen. */
  readonly wish: DefaultWish;
}

/** Attached to nothing yet: the device context points nowhere, which is as if it blocked. */
export function deviceOf(
  probed: ProbedFunction,
  group: Group,
  windowDomain: Domain,
  reservedRegions: readonly ReservedRegion[],
): GroupDevice {
  const { bdf, dmaAliases, pasidsMax, atsSupported, atsWanted, invalidateQueueDepth, directRegions, deferAttach, wish } = probed;
  return {
    bdf,
    dmaAliases,
    pasidsMax,
    atsSupported,
    atsWanted,
    invalidateQueueDepth,
    wish,
    requireDirect: directRegions.some((region) => !region.relaxable),
    reservedRegions,
    dma32First: true,
    attachDeferred: deferAttach,
    group,
    windowDomain,
    directRegions,
    physical: group.blockingDomain,
    pasidPhysical: new Map(),
    atsEnabled: false,
    translatedRefused: false,
    leaving: [],
    atcFenced: false,
    blocked: false,
    quarantined: false,
    broken: false,
    joining: false,
    waitsForAlias: false,
    resetDepth: 0,
    window: { at: 'open' },
    windows: [],
  };
}
