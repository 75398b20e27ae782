/**
 * What a machine is made from, in core's own terms. `app/topology` (JSON, YAML, presets) and `pci/lspci-text` (dumps) make
 * one; `Machine` takes it. Nothing here has defaults: whoever makes a spec fills it in.
 */
import type { Bdf } from '../base/index.ts';
import type { ModelName } from '../devices/index.ts';
import { FIX_NAMES, type DirectRegion, type Fix, type Isolation, type ReservedRegion } from '../iommu/index.ts';
import type { MsixSpec } from '../pci/index.ts';

/** `strict` closes Linux's gaps; `linux-7.1` and `linux-7.0` show what Linux does, 7.0 without the fixes of its reset window (design §7). */
export const BEHAVIOURS = ['strict', 'linux-7.1', 'linux-7.0'] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

/** `auto` jumps to the next alarm when nothing can run; `manual` moves only by `clock-advance`; `real` follows real time. */
export const CLOCK_MODES = ['auto', 'manual', 'real'] as const;
export type ClockMode = (typeof CLOCK_MODES)[number];

export interface MachineSpec {
  readonly name: string;
  /** Unsigned 32 bits. */
  readonly seed: number;
  readonly clock: ClockMode;
  readonly behaviour: Behaviour;
  /** Fixes that are switched off; `linux-7.0` has none of them in any case. */
  readonly withoutFixes?: readonly Fix[];
  readonly memory: readonly MemoryRangeSpec[];
  /** Absent: none; configuration space is then reached by CF8 and CFC only. */
  readonly ecam?: readonly EcamSpec[];
  /** Absent: the machine has no IOMMU and addresses are physical. */
  readonly iommu?: IommuSpec;
  /** In any order; a function's bus is made by the bridge whose secondary bus it is. */
  readonly functions: readonly FunctionSpec[];
}

/** Server-owned RAM. Ranges are page-aligned and do not overlap. */
export interface MemoryRangeSpec {
  readonly address: bigint;
  readonly bytes: bigint;
}

/**
 * Physical addresses that are configuration space of a segment (PCIe Base r6.0 §7.2.2): a page for each function. They overlap neither memory nor each other,
 * and no two are of the same buses.
 */
export interface EcamSpec {
  readonly segment: number;
  /** Of bus 0, also where the range begins later (as in ACPI's MCFG): a multiple of 1 MiB for each bus up to the last, rounded up to a power of two. */
  readonly base: bigint;
  readonly firstBus: number;
  readonly lastBus: number;
}

export interface IommuSpec {
  /** How long the translation agent waits for an Invalidate Completion. */
  readonly invalidationTimeoutNs: number;
  /** Entries of its page request queue; absent: one page of descriptors. */
  readonly pageRequestQueue?: number;
  /** How unmaps of the DMA API are flushed: each at once (`strict`, as absent), or many together (`lazy`; iommu.strict=0). */
  readonly dmaFlush?: 'strict' | 'lazy';
  /** What default domains are where no function says otherwise: `paging`, as absent, or `identity` (iommu.passthrough=1). */
  readonly defaultDomain?: 'paging' | 'identity';
  /** Whether its driver has a blocked domain, as absent; without one an empty paging domain serves, and there are no PASIDs. */
  readonly blockedDomain?: boolean;
  /** What a function has in its reset window: nothing (`blocked`, as absent), or its direct regions. */
  readonly isolation?: Isolation;
  /** Who takes messages of interrupts; absent: `{ at: 'x86' }`. */
  readonly interrupts?: InterruptSpec;
}

/**
 * `x86`: untranslated writes to 0xFEEx_xxxx are interrupts, whatever page tables say. With `remapping` they go by a table that is empty at first;
 * `compatibility`: messages that are not in the remappable format pass all the same. `translated`: a message is translated as any write, and one that comes
 * out in the page of the `doorbell` is an interrupt, as on Arm.
 */
export type InterruptSpec =
  | { readonly at: 'x86'; readonly remapping: 'off' | 'on' | 'compatibility' }
  | { readonly at: 'translated'; readonly doorbell: bigint };

export interface FunctionSpec {
  readonly bdf: Bdf;
  readonly model: ModelName;
  /** Configuration space at power-up: 64, 256 or 4096 bytes. For `replay` the dump's bytes. */
  readonly config: Uint8Array;
  /** BAR sizes in bytes by index, 6 the ROM, from 7 on VF BARs, 0 for unknown; absent: the alignment of each BAR's address in `config`. */
  readonly barBytes?: readonly bigint[];
  /** Where a description's text names the function, for `lspci` output; may be empty. */
  readonly label: string;
  /** Requester IDs on its bus that it uses in place of its own, the first for all that it issues, as functions do that Linux has a quirk for. */
  readonly dmaAliases?: readonly Bdf[];
  /** Virtual time that each request spends between issue and translation. */
  readonly latencyNs: number;
  /** Memory that firmware uses through the function: mapped 1:1 in its default domain. */
  readonly directRegions?: readonly DirectRegion[];
  /** What of its IOVAs is reserved besides; direct ones are as in `directRegions`. */
  readonly reservedRegions?: readonly ReservedRegion[];
  /** The function keeps the context that firmware left, which is none, until its driver's first use (`deferred-attach`). */
  readonly deferAttach?: boolean;
  /**
   * What the IOMMU's driver insists on for it (iommu_ops.def_domain_type). `none`: the default domain of its group cannot be allocated when it is probed.
   * Absent: as the machine was booted.
   */
  readonly defaultDomain?: 'paging' | 'identity' | 'none';
  /** It is behind a port that anybody can plug in (pci_dev.untrusted): it is translated, and its ATS is not used. */
  readonly untrusted?: boolean;
  readonly reset?: ResetSpec;
  /** Of a function with SR-IOV: the MSI-X that each of its virtual functions has. Absent: none. */
  readonly virtualMsix?: MsixSpec;
  /** What its Vital Product Data holds at power-up; absent: the registers, if it has them, lead to no memory. */
  readonly vitalProductData?: Uint8Array;
  /** A virtual function that is there at power-up: its physical function, which is there too and has VF Enable set, and its number from 0. */
  readonly virtual?: { readonly physical: Bdf; readonly index: number };
}

/** How a function is reset besides what its configuration space announces, and what Linux knows of it. */
export interface ResetSpec {
  /** PCI_DEV_FLAGS_NO_FLR_RESET, _NO_PM_RESET and _NO_BUS_RESET: the hardware announces what does not work. */
  readonly noFlr?: boolean;
  readonly noPm?: boolean;
  readonly noBus?: boolean;
  /** Firmware has a _RST method for it: it works, or fails. */
  readonly acpi?: 'works' | 'fails';
  /**
   * It is in Linux's table of quirks (pci_dev_reset_methods): `plain` resets it by means of its own, `flr-then-firmware` does an FLR and then waits for its
   * firmware, `refuses` finds at each reset that this one is not meant (-ENOTTY).
   */
  readonly deviceSpecific?: 'plain' | 'flr-then-firmware' | 'refuses';
  /** How long the quirk waits for firmware. */
  readonly firmwareNs?: number;
}

/** Where functions come that are plugged in. */
export interface PlugPlace {
  readonly segment: number;
  /** Undefined: on root buses. */
  readonly port: PlugPort | undefined;
  /** Below 4 GiB: where functions and bridges have memory already, by address; `end` exclusive. */
  readonly taken: readonly { readonly base: number; readonly end: number }[];
}

export interface PlugPort {
  readonly bdf: Bdf;
  readonly kind: 'root-port' | 'downstream-port' | 'pcie-to-pci-bridge' | 'pci-bridge';
  readonly secondary: number;
  readonly subordinate: number;
  /** Its memory window; undefined: closed. */
  readonly window: { readonly base: number; readonly end: number } | undefined;
}

/** Reads functions from a text. ModelError EINVAL for what cannot be, naming its place in the text. */
export type FunctionReader = (text: string, place: PlugPlace) => readonly FunctionSpec[];

/** The fixes that a machine's Linux has, in the order of {@link FIX_NAMES}. */
export function fixesOf({ behaviour, withoutFixes = [] }: Pick<MachineSpec, 'behaviour' | 'withoutFixes'>): ReadonlySet<Fix> {
  return new Set(behaviour === 'linux-7.0' ? [] : FIX_NAMES.filter((fix) => !withoutFixes.includes(fix)));
}
