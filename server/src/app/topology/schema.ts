// long: one form of document, read as a list
/**
 * `iommud.topology/v1`: a machine as a document, in JSON or YAML 1.2. This is the one statement of its form: types, checks and the
 * JSON Schema for editors come from here.
 */
import { Type, type Static } from 'typebox';
import { ISOLATIONS, RESERVED_TYPES } from '../../core/machine/index.ts';
import { CAPABILITIES } from './capability-schema.ts';
import { LINK_SPEEDS, RESET } from './resets.ts';

export const TOPOLOGY_SCHEMA = 'iommud.topology/v1';

/** Entries of a page request queue: the largest that VT-d knows has 16,384. */
export const PAGE_REQUEST_QUEUE_MAX = 16384;

/** What a function is, in documents. Ports and the host bridge are all model `bridge` in a machine. */
export const FUNCTION_MODELS = [
  'host-bridge',
  'root-port',
  'upstream-port',
  'downstream-port',
  'pcie-to-pci-bridge',
  'pci-bridge',
  'dma-probe',
  'edu',
  'remote',
  'replay',
] as const;
export type FunctionModel = (typeof FUNCTION_MODELS)[number];

/** 1 GiB of RAM from 1 GiB on: below 4 GiB, clear of page 0 and of the window for BARs. */
export const DEFAULT_MEMORY = { address: '0x40000000', size: '1GiB' } as const;
/** PCIe r6.0 §10.3.1 has a function answer within one minute. */
export const DEFAULT_INVALIDATION_TIMEOUT = '60s';

/** INTA to INTD. */
export const INTERRUPT_PINS = ['A', 'B', 'C', 'D'] as const;

const FUNCTION_FIELDS = {
  address: Type.String({
    pattern: '^(([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:)?[01][0-9a-fA-F]\\.[0-7]$',
    description: 'Where the function is: "00:02.0", or "0001:00:02.0" with a segment. In children also "00.0": the bus is the port\'s.',
  }),
  model: Type.Enum([...FUNCTION_MODELS], {
    description:
      'dma-probe makes every kind of DMA on request; edu is the educational device of QEMU; remote is claimed by a device role; replay has the bytes of a dump (config); ' +
      'the others are bridges.',
  }),
  label: Type.Optional(Type.String({ maxLength: 256, description: 'What lspci output calls it.' })),
  latency: Type.Optional(
    Type.String({ description: 'Virtual time of each request between issue and translation: "250ns", "2us". Default "0s".' }),
  ),
  directRegions: Type.Optional(
    Type.Array(
      Type.Object(
        {
          address: Type.String({ description: 'Physical address, and IOVA: "0x7f000000". A multiple of 4 KiB.' }),
          size: Type.String({ description: 'Bytes: "64KiB". A multiple of 4 KiB.' }),
          relaxable: Type.Optional(Type.Boolean({ description: 'The function can do without it once its driver runs. Default false.' })),
        },
        { additionalProperties: false },
      ),
      { maxItems: 16, description: 'Memory that firmware uses through the function: mapped 1:1 in its default domain (RMRR, IVMD, RMR).' },
    ),
  ),
  reservedRegions: Type.Optional(
    Type.Array(
      Type.Object(
        {
          address: Type.String({ description: 'Where the IOVAs begin: "0x8000000". A multiple of 4 KiB.' }),
          size: Type.String({ description: 'Bytes: "1MiB". A multiple of 4 KiB.' }),
          type: Type.Enum([...RESERVED_TYPES], {
            description:
              'direct and direct-relaxable are as in directRegions; msi: the hardware takes it as interrupts; sw-msi: Linux maps doorbells there.',
          }),
        },
        { additionalProperties: false },
      ),
      {
        maxItems: 16,
        description: 'IOVAs that are not to be given away (sysfs reserved_regions). Every function has 0xfee00000 to 0xfeefffff besides.',
      },
    ),
  ),
  deferAttach: Type.Optional(
    Type.Boolean({ description: 'The IOMMU attaches the function at its first use only, as after a crash kernel booted. Default false.' }),
  ),
  defaultDomain: Type.Optional(
    Type.Enum(['paging', 'identity', 'none'], {
      description:
        "paging, identity: what the IOMMU's driver insists on for the function; identity wins within a group. none: the default domain of the " +
        "function's group cannot be allocated, so that the group has no domain. Default: as the machine's defaultDomain.",
    }),
  ),
  untrusted: Type.Optional(
    Type.Boolean({
      description:
        'It is behind a port that anybody can plug in: always translated, each unmap is flushed at once, ATS is not used. Default false.',
    }),
  ),
  reset: Type.Optional(RESET),
  linkSpeed: Type.Optional(Type.Enum([...LINK_SPEEDS], { description: 'Of the link below a port. Default 16GT/s.' })),
  dmaAliases: Type.Optional(
    Type.Array(Type.String({ pattern: '^(([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:)?[01][0-9a-fA-F]\\.[0-7]$' }), {
      minItems: 1,
      maxItems: 8,
      description:
        'Requester IDs on its bus that it uses in place of its own, the first for all that it issues: "00.0". Functions with such a quirk exist.',
    }),
  ),
  multifunction: Type.Optional(Type.Boolean({ description: 'The header says so. Default: true when the device has several functions.' })),
  acs: Type.Optional(
    Type.Boolean({ description: 'Has Access Control Services, enabled. Default: true for ports, false for other functions.' }),
  ),
  ats: Type.Optional(Type.Boolean({ description: 'dma-probe and remote: has ATS, PRI and PASID. Default true.' })),
  capabilities: Type.Optional(CAPABILITIES),
  config: Type.Optional(
    Type.String({
      description: 'replay and remote: configuration space, 64, 256 or 4096 bytes as "lspci -xxxx" prints them, with or without offsets.',
    }),
  ),
  vendor: Type.Optional(Type.String({ pattern: '^0x[0-9a-fA-F]{1,4}$', description: 'remote: Vendor ID. Default "0x1234".' })),
  device: Type.Optional(Type.String({ pattern: '^0x[0-9a-fA-F]{1,4}$', description: 'remote: Device ID. Default "0x11d5".' })),
  class: Type.Optional(
    Type.String({ pattern: '^0x[0-9a-fA-F]{1,6}$', description: 'remote: class code, 24 bits: "0x020000". Default "0xff0000".' }),
  ),
  revision: Type.Optional(Type.String({ pattern: '^0x[0-9a-fA-F]{1,2}$', description: 'remote: Revision ID. Default "0x01".' })),
  bars: Type.Optional(
    Type.Array(
      Type.Object(
        {
          bar: Type.Integer({ minimum: 0, maximum: 5, description: 'Its number. One of 64 bits takes the next, too.' }),
          size: Type.String({ description: 'Bytes, a power of two: "1MiB".' }),
          kind: Type.Optional(Type.Enum(['memory32', 'memory64', 'io'], { description: 'Default memory32.' })),
          prefetchable: Type.Optional(Type.Boolean({ description: 'Default false.' })),
        },
        { additionalProperties: false },
      ),
      {
        maxItems: 6,
        description:
          'remote: its BARs. Default: 4 KiB in BAR 0, and 64 KiB in BAR 2 for MSI-X. With bars and no such BAR 2 it has no MSI-X.',
      },
    ),
  ),
  slot: Type.Optional(
    Type.Object(
      {
        memory: Type.Optional(Type.String({ description: 'Addresses that it keeps for BARs: "1MiB", the default. Rounded up to 1 MiB.' })),
        buses: Type.Optional(Type.Integer({ minimum: 0, maximum: 255, description: 'Buses that it keeps below its own. Default 0.' })),
      },
      { additionalProperties: false, description: 'Root and downstream ports: room for what is plugged in while the machine runs.' },
    ),
  ),
  interruptPin: Type.Optional(
    Type.Enum([...INTERRUPT_PINS], { description: 'dma-probe and remote: the pin of its INTx. Default: it has none.' }),
  ),
  window: Type.Optional(
    Type.Object(
      {
        address: Type.String({ description: 'Physical address: "0xe0000000". A multiple of 1 MiB below 4 GiB.' }),
        size: Type.String({ description: 'Bytes: "2MiB". A multiple of 1 MiB.' }),
      },
      {
        additionalProperties: false,
        description: 'Ports: the memory window, which lies in that of the port above. Default: what the BARs below need.',
      },
    ),
  ),
  bus: Type.Optional(
    Type.String({
      pattern: '^[0-9a-fA-F]{2}$',
      description: 'Ports: the secondary bus, two hex digits. Default: the next number, depth first.',
    }),
  ),
};

const FUNCTION = Type.Object(
  { ...FUNCTION_FIELDS, children: Type.Optional(Type.Array(Type.Ref('#/$defs/function'), { description: 'Functions below a port.' })) },
  { additionalProperties: false, description: 'A function, with what is below it.' },
);

const FUNCTION_SHAPE = Type.Object(FUNCTION_FIELDS);
/** One entry of `functions` or `children`. */
export interface FunctionNode extends Static<typeof FUNCTION_SHAPE> {
  readonly children?: readonly FunctionNode[];
}

/** IOMMU_DOMAIN_DMA and IOMMU_DOMAIN_IDENTITY. */
const DEFAULT_DOMAINS = ['paging', 'identity'] as const;
/** IOMMU_DOMAIN_DMA and IOMMU_DOMAIN_DMA_FQ. */
const DMA_FLUSHES = ['strict', 'lazy'] as const;

/** Who takes messages of interrupts. */
const INTERRUPTS = ['x86', 'translated'] as const;
/** The page of GITS_TRANSLATER on QEMU's `virt` machine: below the RAM that there is by default. */
export const DEFAULT_DOORBELL = '0x8090000';

/** What a machine may be called. */
export const MACHINE_NAME = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';

const MACHINE_FIELDS = {
  schema: Type.Literal(TOPOLOGY_SCHEMA),
  name: Type.Optional(Type.String({ pattern: MACHINE_NAME, description: 'Name of the machine when the request gives none.' })),
  memory: Type.Optional(
    Type.Array(
      Type.Object(
        {
          address: Type.String({ description: 'Physical address of the range: "0x40000000". A multiple of 4 KiB.' }),
          size: Type.String({ description: 'Bytes: "1GiB", "64KiB", "0x1000". A multiple of 4 KiB.' }),
        },
        { additionalProperties: false },
      ),
      { maxItems: 64, description: `RAM. Default: one range of ${DEFAULT_MEMORY.size} at ${DEFAULT_MEMORY.address}.` },
    ),
  ),
  ecam: Type.Optional(
    Type.Array(
      Type.Object(
        {
          address: Type.String({
            description:
              'Physical address of bus 0, whichever bus it begins with: "0xb0000000". A multiple of 1 MiB for each bus up to the last.',
          }),
          segment: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: 'Whose configuration space it is. Default 0.' })),
          firstBus: Type.Optional(Type.Integer({ minimum: 0, maximum: 255, description: 'Default 0.' })),
          lastBus: Type.Optional(Type.Integer({ minimum: 0, maximum: 255, description: 'Default 255.' })),
        },
        { additionalProperties: false },
      ),
      { maxItems: 64, description: 'Where configuration space is in memory (ACPI MCFG). Default: nowhere.' },
    ),
  ),
  iommu: Type.Optional(
    Type.Union(
      [
        Type.Literal('none'),
        Type.Object(
          {
            invalidationTimeout: Type.Optional(
              Type.String({ description: `How long it waits for an Invalidate Completion. Default "${DEFAULT_INVALIDATION_TIMEOUT}".` }),
            ),
            pageRequestQueue: Type.Optional(
              Type.Number({ description: `Entries of its page request queue, 1 to ${PAGE_REQUEST_QUEUE_MAX}. Default 128.` }),
            ),
            dmaFlush: Type.Optional(
              Type.Enum([...DMA_FLUSHES], {
                description: 'How unmaps of the DMA API are flushed: each at once, or many together (iommu.strict=0). Default strict.',
              }),
            ),
            isolation: Type.Optional(
              Type.Enum([...ISOLATIONS], {
                description:
                  'What a function reaches in its reset window: nothing, or, by untranslated requests, its direct regions. Default blocked.',
              }),
            ),
            interrupts: Type.Optional(
              Type.Enum([...INTERRUPTS], {
                description:
                  'x86: untranslated writes to 0xfee00000 to 0xfeefffff are interrupts, whatever page tables say. translated: messages are translated as ' +
                  'any write, and those that come out at the doorbell are interrupts. Default x86.',
              }),
            ),
            doorbell: Type.Optional(
              Type.String({
                description: `With interrupts translated: physical address of the page where interrupts are taken. Default "${DEFAULT_DOORBELL}".`,
              }),
            ),
            interruptRemapping: Type.Optional(
              Type.Boolean({
                description:
                  'With interrupts x86: messages go by a table, which is empty until a host writes it, or are refused. Default false.',
              }),
            ),
            compatibilityInterrupts: Type.Optional(
              Type.Boolean({
                description: 'With interruptRemapping: messages that are not in the remappable format pass as they are. Default false.',
              }),
            ),
            defaultDomain: Type.Optional(
              Type.Enum([...DEFAULT_DOMAINS], {
                description:
                  'What groups have where no function insists on another: translated, or physical addresses (iommu.passthrough=1). Default paging.',
              }),
            ),
            blockedDomain: Type.Optional(
              Type.Boolean({
                description:
                  'Its driver has a blocked domain. Default true. Without one an empty paging domain serves, and functions have no PASIDs.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
      ],
      { description: 'Default: there is one. "none": addresses are physical.' },
    ),
  ),
};

const TOPOLOGY = Type.Object(
  {
    ...MACHINE_FIELDS,
    functions: Type.Array(Type.Ref('#/$defs/function'), { description: 'Functions on root buses, with what is below.' }),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'iommud topology',
    description: 'A machine: memory, IOMMU and PCI functions. Every address is a string, because YAML reads some as numbers.',
    additionalProperties: false,
    $defs: { function: FUNCTION },
  },
);

const MACHINE_SHAPE = Type.Object(MACHINE_FIELDS);
export interface TopologyDocument extends Static<typeof MACHINE_SHAPE> {
  readonly functions: readonly FunctionNode[];
}

/** The JSON Schema of a topology document (draft 2020-12), for editors and for checks. */
export const topologySchema = TOPOLOGY;

/** Keys that each kind of object may have, by the object's kind. */
export const KEYS = {
  machine: [...Object.keys(MACHINE_FIELDS), 'functions'],
  memory: ['address', 'size'],
  ecam: ['address', 'segment', 'firstBus', 'lastBus'],
  iommu: [
    'invalidationTimeout',
    'pageRequestQueue',
    'dmaFlush',
    'isolation',
    'blockedDomain',
    'defaultDomain',
    'interrupts',
    'doorbell',
    'interruptRemapping',
    'compatibilityInterrupts',
  ],
  directRegion: ['address', 'size', 'relaxable'],
  reservedRegion: ['address', 'size', 'type'],
  slot: ['memory', 'buses'],
  bar: ['bar', 'size', 'kind', 'prefetchable'],
  reset: Object.keys(RESET.properties),
  window: ['address', 'size'],
  function: [...Object.keys(FUNCTION_FIELDS), 'children'],
} as const;
