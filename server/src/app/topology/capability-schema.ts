/** The key `capabilities` of a function: what it has besides, or instead of, what its model has by default. */
import { Type, type Static, type TObject, type TProperties } from 'typebox';

const number = (description: string) =>
  Type.Union([Type.Number(), Type.String()], { description: `${description} A number, or hex in quotes: "0x60".` });
const AT = {
  at: Type.Optional(number('Byte offset of the capability: a multiple of 4. Default: the next free place.')),
};

function record<T extends TProperties>(fields: T): TObject<T & typeof AT> {
  return Type.Object({ ...fields, ...AT }, { additionalProperties: false });
}

/** `true` for all defaults, `false` to take away what the model has. */
function orNot<T extends TProperties>(fields: T, description: string) {
  return Type.Optional(Type.Union([Type.Boolean(), record(fields)], { description }));
}

function oneOrMore<T extends TProperties>(fields: T, description: string) {
  return Type.Optional(Type.Union([record(fields), Type.Array(record(fields), { maxItems: 16 })], { description }));
}

const flag = (description: string) => Type.Optional(Type.Boolean({ description }));
const optionalNumber = (description: string) => Type.Optional(number(description));
const HEX_BYTES = Type.String({ description: 'The bytes after the header, as pairs of hex digits: "01 02 a0".' });
const SIZE = (description: string) => Type.String({ description: `${description}: "64KiB". A power of two.` });

const FIRST_256 = {
  pm: orNot(
    {
      noSoftReset: flag('False: going from D3hot to D0 resets the function, and pm is one of its reset methods. Default true.'),
      d1: flag('Has the power state D1. Default false.'),
      d2: flag('Has the power state D2. Default false.'),
      pme: flag('Can send PME from D0 and D3hot. Default false.'),
    },
    'Power Management. Every function has it by default.',
  ),
  msi: orNot(
    {
      vectors: optionalNumber('Vectors that it asks for: 1, 2, 4, 8, 16 or 32. Default 1.'),
      wide: flag('64-bit addresses. Default true.'),
      perVectorMask: flag('Has mask and pending bits. Default false.'),
      extendedData: flag('Offers Extended Message Data. Default false.'),
    },
    'Message Signaled Interrupts. Default: none.',
  ),
  msix: orNot(
    { vectors: optionalNumber('1 to 2048. Default 32.') },
    'MSI-X, its table in BAR 2. dma-probe and remote have it by default, with 32 vectors.',
  ),
  af: orNot({}, 'Advanced Features: FLR of conventional functions. Default: none.'),
  vpd: orNot(
    {
      data: Type.Optional(
        Type.String({
          description: 'What it holds at power-up, as pairs of hex digits; at most 32 KiB. Default: the registers lead to no memory.',
        }),
      ),
    },
    'Vital Product Data. Default: none.',
  ),
  pcix: orNot({}, 'PCI-X; only with express: false. Default: none.'),
  ssvid: Type.Optional(
    Type.Object(
      { vendor: number('Subsystem Vendor ID.'), device: number('Subsystem ID.'), ...AT },
      { additionalProperties: false, description: 'Subsystem: in the header of an endpoint, in a capability of a port.' },
    ),
  ),
  vendorSpecific: oneOrMore({ bytes: HEX_BYTES }, 'Vendor-specific capability, or a list of them.'),
  ea: Type.Optional(
    record({
      entries: Type.Array(
        Type.Object(
          {
            bar: optionalNumber('The BAR that it stands for, 0 to 5. Default: none.'),
            kind: Type.Optional(Type.Enum(['memory', 'prefetchable', 'io'], { description: 'Default memory.' })),
            address: Type.String({ description: 'Where it is: "0xd0000000". A multiple of 4.' }),
            size: Type.String({ description: 'Bytes: "64KiB". A multiple of 4.' }),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: 15, description: 'Resources at fixed addresses.' },
      ),
    }),
  ),
};

const EXTENDED = {
  aer: orNot({}, 'Advanced Error Reporting. Every PCIe function has it by default.'),
  acs: orNot(
    {
      offered: optionalNumber('ACS Capability: services offered, a bit each. Default 0x5f.'),
      enabled: optionalNumber('ACS Control at power-up. Default 0x1d: SV, RR, CR and UF, as Linux enables them.'),
    },
    'Access Control Services, in place of the function\'s own "acs".',
  ),
  ats: orNot({ queueDepth: optionalNumber('Invalidate Queue Depth: 1 to 32. Default 32.') }, 'Address Translation Services.'),
  pri: orNot({ capacity: optionalNumber('Outstanding Page Request Capacity. Default 512.') }, 'Page Request Interface.'),
  pasid: orNot(
    {
      width: optionalNumber('Bits of a PASID: 1 to 20. Default 20.'),
      execute: flag('Offers requests to execute. Default true.'),
      privileged: flag('Offers privileged mode. Default true.'),
    },
    'Process Address Space ID.',
  ),
  ari: orNot(
    { nextFunction: optionalNumber('Next Function Number. Default: as the functions of the device are.') },
    'Alternative Routing-ID. Default: with sriov below a port.',
  ),
  sriov: Type.Optional(
    record({
      vfs: number('TotalVFs: 1 to 65535.'),
      firstOffset: optionalNumber('From the routing ID of this function to that of its first virtual one. Default 1.'),
      stride: optionalNumber('Between the routing IDs of two virtual functions. Default 1.'),
      device: optionalNumber('VF Device ID. Default 0x11d6 (dma-probe) or 0x11d7 (remote).'),
      pageSizes: Type.Optional(
        Type.Array(SIZE('A page size'), { minItems: 1, maxItems: 32, description: 'Supported Page Sizes. 4 KiB is always one.' }),
      ),
      msix: Type.Optional(
        Type.Union([Type.Boolean(), Type.Object({ vectors: optionalNumber('1 to 2048. Default 32.') }, { additionalProperties: false })], {
          description: 'MSI-X of each virtual function, with its table in VF BAR 2, which has 64 KiB or more then. Default: none.',
        }),
      ),
      bars: Type.Optional(
        Type.Array(
          Type.Object(
            {
              bar: number('0 to 5; one that is wide takes the next one too.'),
              size: SIZE('Of one virtual function, 4 KiB or more'),
              wide: flag('64 bits. Default false.'),
              prefetchable: flag('Default false.'),
            },
            { additionalProperties: false },
          ),
          { maxItems: 6, description: 'VF BARs. Default: 0 of 4 KiB and 2 of 64 KiB, as the function itself has.' },
        ),
      ),
    }),
  ),
  resizableBar: Type.Optional(
    record({
      sizes: Type.Array(SIZE('A size, 1 MiB or more'), { minItems: 1, maxItems: 44, description: 'What BAR 4 can be.' }),
      size: Type.Optional(SIZE('What it is after a reset. Default: the least of sizes')),
    }),
  ),
  ltr: orNot(
    {
      maxSnoop: Type.Optional(Type.String({ description: 'Max Snoop Latency at power-up: "3ms". Default "0s".' })),
      maxNoSnoop: Type.Optional(Type.String({ description: 'Max No-Snoop Latency at power-up. Default "0s".' })),
    },
    'Latency Tolerance Reporting.',
  ),
  serialNumber: Type.Optional(
    Type.Union([Type.String(), record({ value: Type.String({ description: 'As lspci prints it: "00-11-22-33-44-55-66-77".' }) })], {
      description: 'Device Serial Number: "00-11-22-33-44-55-66-77", or an object with value.',
    }),
  ),
  dpc: orNot({}, 'Ports with a link below: Downstream Port Containment, with root port extensions in a root port.'),
  ptm: orNot({}, 'Precision Time Measurement.'),
  dvsec: oneOrMore(
    {
      vendor: number('DVSEC Vendor ID.'),
      id: number('DVSEC ID.'),
      revision: optionalNumber('0 to 15. Default 0.'),
      bytes: Type.Optional(HEX_BYTES),
    },
    'Designated vendor-specific capability, or a list of them.',
  ),
  vsec: oneOrMore(
    { id: number('VSEC ID.'), revision: optionalNumber('0 to 15. Default 0.'), bytes: Type.Optional(HEX_BYTES) },
    'Vendor-specific extended capability, or a list of them.',
  ),
};

const OTHER = {
  express: Type.Optional(
    Type.Literal(false, { description: 'A conventional function: 256 bytes of configuration space, without PCI Express.' }),
  ),
  flr: flag('Function Level Reset by PCI Express. Default true.'),
  immediateReadiness: flag('The function is ready at once after a reset, and says so. Default false.'),
  rrsVisibility: flag('Root ports: Configuration RRS Software Visibility is offered. Default false.'),
  slot: Type.Optional(
    Type.Union(
      [
        Type.Boolean(),
        Type.Object(
          {
            number: optionalNumber('Physical slot number: 0 to 8191. Default 0.'),
            hotPlug: flag('Default true.'),
            surprise: flag('A function may be pulled out without notice. Default true.'),
            attentionButton: flag('Default true.'),
            powerController: flag('Default true.'),
            attentionIndicator: flag('Default true.'),
            powerIndicator: flag('Default true.'),
            mrlSensor: flag('Manually-operated Retention Latch sensor. Default false.'),
            interlock: flag('Electromechanical interlock. Default false.'),
            commandCompleted: flag('Software waits for Command Completed. Default true.'),
          },
          { additionalProperties: false },
        ),
      ],
      { description: 'Ports with a link below: what is below is in a slot. Default: none.' },
    ),
  ),
};

/** Each is optional; `at` says where a capability must be, and two at one place are refused by name. */
export const CAPABILITIES = Type.Object(
  { ...FIRST_256, ...EXTENDED, ...OTHER },
  {
    additionalProperties: false,
    description:
      'dma-probe, remote and ports: capabilities besides, or instead of, those that the model has. true: with defaults; false: not at all; ' +
      'an object: as it says. "at" puts one at a place.',
  },
);
export type CapabilitiesNode = Static<typeof CAPABILITIES>;
export type CapabilityKey = keyof CapabilitiesNode;
/** Extended capabilities: a function without PCI Express has no place for them. */
export const EXTENDED_KEYS = Object.keys(EXTENDED) as readonly CapabilityKey[];

interface SchemaNode {
  readonly type?: string;
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

type Place = readonly (string | number)[];

/** The keys that an object at `path` may have; `path` begins below `capabilities`. */
export function capabilityKeys(path: Place): readonly string[] {
  return [...new Set(nodesAt(path).flatMap((node) => Object.keys(node.properties ?? {})))];
}

/** The JSON types that a value at `path` may have; `false` where nothing else may be written. */
export function capabilityTypes(path: Place): ReadonlySet<string> {
  return new Set(nodesAt(path).map((node) => (node.const === false ? 'false' : (node.type ?? ''))));
}

function nodesAt(path: Place): readonly SchemaNode[] {
  let nodes: readonly SchemaNode[] = [CAPABILITIES as SchemaNode];
  for (const part of path) {
    const next = (node: SchemaNode): SchemaNode | undefined => (typeof part === 'number' ? node.items : node.properties?.[part]);
    nodes = nodes.flatMap((node) => alternatives(next(node)));
  }
  return nodes;
}

function alternatives(node: SchemaNode | undefined): readonly SchemaNode[] {
  return node === undefined ? [] : (node.anyOf ?? [node]);
}
