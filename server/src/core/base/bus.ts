/**
 * What travels between a function, the bus and the translation agent. Terms are PCIe's (Base Specification r6 ch. 2 and 10).
 * Codes on the hot path are small integers; names for people are beside them.
 */

/** Address type of a memory request (PCIe §10.2.1): AT field. */
export const AT = { untranslated: 0, translationRequest: 1, translated: 2 } as const;
export type AddressType = (typeof AT)[keyof typeof AT];

/** Access rights: bits that combine. */
export const ACCESS = { none: 0, read: 1, write: 2, readWrite: 3, execute: 4 } as const;

/** What a DMA operation does. */
export const DMA_OPERATIONS = ['read', 'write', 'fetch-add', 'swap', 'compare-and-swap', 'translate'] as const;
export type DmaOperation = (typeof DMA_OPERATIONS)[number];

/**
 * Where a request can be held, in order: before translation; translated but not performed; performed but not completed.
 */
export const HOLD_POINTS = ['issued', 'translated', 'performed'] as const;
export type HoldPoint = (typeof HOLD_POINTS)[number];

/**
 * How a request ended. `performed` is the only success. A real function learns this only for non-posted requests; for
 * posted writes it comes from the trace. The last five are of interrupt remapping: VT-d's fault reasons 20h, 21h, 22h, 25h and 26h.
 */
export const OUTCOMES = [
  'performed',
  'not-present',
  'not-permitted',
  'not-canonical',
  'too-wide',
  'reserved-bits',
  'external-abort',
  'blocked-domain',
  'ats-forbidden',
  'stale-atc',
  'gate-closed',
  'unsupported-request',
  'completer-abort',
  'aborted',
  'indeterminate',
  'no-access',
  'access-flag',
  'address-size',
  'poisoned',
  'completion-timeout',
  'interrupt-reserved',
  'interrupt-index',
  'interrupt-absent',
  'interrupt-compatibility',
  'interrupt-source',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Base address registers and the other regions of a function, numbered as vfio-user does. */
export const REGION = { bar0: 0, bar1: 1, bar2: 2, bar3: 3, bar4: 4, bar5: 5, rom: 6, config: 7 } as const;

/** Reset methods by Linux's names (`drivers/pci/pci.c`, `pci_reset_fn_methods`). */
export const RESET_METHODS = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus'] as const;
export type ResetMethod = (typeof RESET_METHODS)[number];

/**
 * What became of a group of page requests (PCIe §10.4). The first three are PRG Response codes. `forgotten`: no answer came, for the function was
 * reset or stopped using the PASID. `none`: it gets no answer.
 */
export const PAGE_ANSWERS = ['success', 'invalid', 'failure', 'forgotten', 'not-sent', 'none'] as const;
export type PageAnswer = (typeof PAGE_ANSWERS)[number];
export type PageResponseCode = Extract<PageAnswer, 'success' | 'invalid' | 'failure'>;

/** Page Request Group indexes: 9 bits. */
export const PAGE_GROUPS = 512;

/** Tags of outstanding invalidations: 5 bits for each destination (PCIe §10.3). */
export const ITAGS = 32;

/**
 * Pages at which an x86 IOMMU takes an untranslated write without a PASID as an interrupt, whatever the page tables say (VT-d spec, interrupt address
 * range 0xFEEx_xxxx).
 */
export const INTERRUPT_PAGES = { first: 0xfee00, count: 0x100 } as const;
