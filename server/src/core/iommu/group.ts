import type { Bdf, Pasid } from '../base/index.ts';
import type { AddressSpace } from '../translation/index.ts';
import type { DirectRegion } from './direct-regions.ts';
import type { DmaDomain } from './dma-domain.ts';
import type { Ioas } from './ioas.ts';
import type { ReservedRegion } from './reserved-regions.ts';
import type { WindowState } from './reset-window.ts';

export type DomainType = 'paging' | 'identity' | 'blocked';

/** struct iommu_domain: what a group or a PASID is attached to. */
export interface Domain {
  readonly id: number;
  readonly type: DomainType;
  /** A process's own address space (SVA). */
  readonly sharedAddress: boolean;
  /** Page requests of functions in it become page faults for a host: a fault-capable page table of iommufd, or a process's own (SVA). */
  readonly faults: boolean;
  readonly space: AddressSpace;
  /** Calls that are at work on it: it is not freed under them. */
  pins: number;
  /** Of a nested domain: the paging domain that is its second stage. */
  readonly parent: Domain | undefined;
  /** The domains whose parent this is. */
  readonly nested: Set<Domain>;
  /** Of a group's default domain: what the DMA API gives away. */
  dma: DmaDomain | undefined;
  /** A guest writes its tables. */
  readonly guestTables: boolean;
  /** The I/O address space that it stands for; `auto`: made by an attach, and gone with the last. */
  ioas: Ioas | undefined;
  auto: boolean;
}

/** What of a function counts when its group's default domain is chosen. */
export interface DefaultWish {
  readonly bdf: Bdf;
  /** What the IOMMU's driver insists on for this function (iommu_ops.def_domain_type). */
  readonly wants: 'identity' | 'dma' | undefined;
  /** It can be plugged in by anybody (pci_dev.untrusted): it is translated, each unmap is flushed at once, and its ATS is not used. */
  readonly untrusted: boolean;
}

/** struct group_device, with what the machine knows of the function. */
export interface GroupDevice {
  readonly bdf: Bdf;
  /** Other requester IDs under which its requests come (pci_for_each_dma_alias): their contexts are set with its own. */
  readonly dmaAliases: readonly Bdf[];
  readonly group: Group;
  /** dev->iommu->max_pasids: 0 when the function has no PASID capability. */
  readonly pasidsMax: number;
  readonly atsSupported: boolean;
  /** What it has to say where a default domain is chosen. */
  readonly wish: DefaultWish;
  /** The IOMMU core runs ATS for this function while a paging domain is attached. */
  readonly atsWanted: boolean;
  /** Invalidate Queue Depth, 1 to 32. */
  readonly invalidateQueueDepth: number;
  /** dev->iommu->require_direct: firmware uses memory through the function, which therefore may not be attached to a blocking domain. */
  readonly requireDirect: boolean;
  /** Merged, in the order of sysfs `reserved_regions`. */
  readonly reservedRegions: readonly ReservedRegion[];
  /** dev->iommu->pci_32bit_workaround: the DMA API tries addresses below 4 GiB first, until there is once no room. */
  dma32First: boolean;
  /** What a window puts it on: the group's blocking domain, or one that holds its direct regions alone (isolation.ts). */
  readonly windowDomain: Domain;
  readonly directRegions: readonly DirectRegion[];
  /** What the device context holds now: the physical domain. */
  physical: Domain;
  /** Physical domain of each PASID that has a device context. */
  readonly pasidPhysical: Map<Pasid, Domain>;
  /** ATS Enable as the IOMMU core set it. */
  atsEnabled: boolean;
  /** An invalidation timed out in `strict`: translated requests are refused until the next attach. */
  translatedRefused: boolean;
  /** Domains that a context has left while the ATC invalidation for it has not been sent yet. */
  leaving: readonly { readonly pasid: Pasid; readonly domain: Domain }[];
  /** A fence has asked for the whole ATC: nothing more is sent to the function until its translation is restored (invariants 15, 16). */
  atcFenced: boolean;
  /** dev->iommu->attach_deferred: firmware's context stands until a driver's first use, or any move. */
  attachDeferred: boolean;
  blocked: boolean;
  quarantined: boolean;
  /** Reported broken since a window of it was last opened: steps that calls have planned before open nothing, and ask it for nothing. */
  broken: boolean;
  /** It came while another member was in a window, and is blocked until the last of these closes. */
  joining: boolean;
  /** Its windows have closed, and it stays blocked for one that shares a requester ID with it ({@link ./alias-siblings.ts}). */
  waitsForAlias: boolean;
  resetDepth: number;
  window: WindowState;
  /** Open windows in opening order. */
  windows: string[];
}

/** struct iommu_group. */
export interface Group {
  readonly id: number;
  /** In the order in which they came. */
  readonly members: GroupDevice[];
  /** Undefined: it could not be allocated when the group was probed. */
  defaultDomain: Domain | undefined;
  /** What the group goes back to when nobody has it. Undefined: nothing, so that it keeps what it has. */
  restDomain: Domain | undefined;
  /** Nothing is mapped in it and no ATS request is honoured: the driver's blocked domain, or (type `paging`) an empty one where it has none. */
  readonly blockingDomain: Domain;
  /** The logical current domain: what is restored when a window closes. Undefined until the first attach where there was no default domain. */
  domain: Domain | undefined;
  readonly pasids: Map<Pasid, Domain>;
  /** Functions in a window (recovery_cnt). */
  recoveryCount: number;
  owned: boolean;
}

/** What a change asks of the machine, in order. */
export type IommuEffect =
  /**
   * An Invalidate Request that the caller awaits. `pages` Infinity: everything. `spaces`: whose translations it takes, so that an unmap in one
   * of them awaits it too, also when the function has left that space.
   */
  | {
      readonly kind: 'invalidate';
      readonly device: GroupDevice;
      readonly pasid: Pasid;
      readonly firstPage: number;
      readonly pages: number;
      readonly spaces: readonly AddressSpace[];
    }
  /** In-flight requests of the function that were translated in `space` are awaited too. */
  | { readonly kind: 'settle'; readonly device: GroupDevice; readonly space: AddressSpace }
  | { readonly kind: 'ats-enable'; readonly device: GroupDevice; readonly on: boolean }
  | { readonly kind: 'warning'; readonly device: GroupDevice; readonly text: string };
