/** What the capabilities of an image of our own are made from: one key for each kind. What is absent the function does not have. */

/** `at`: byte offset where the capability must be; absent: the next free place. */
export interface Placed {
  readonly at?: number;
}

export interface PowerSpec extends Placed {
  /** False: going from D3hot to D0 resets the function, which makes `pm` one of its reset methods. */
  readonly noSoftReset: boolean;
  readonly d1?: boolean;
  readonly d2?: boolean;
  /** Can send PME from D0 and D3hot. */
  readonly pme?: boolean;
  readonly immediateReadiness?: boolean;
}

export interface MsiSpec extends Placed {
  /** Vectors that it asks for: 1, 2, 4, 8, 16 or 32. */
  readonly vectors: number;
  /** 64-bit addresses. */
  readonly wide: boolean;
  readonly perVectorMask: boolean;
  readonly extendedData?: boolean;
}

export interface MsixSpec extends Placed {
  /** 1 to 2048. */
  readonly vectors: number;
  readonly bar: number;
  /** Byte offsets in the BAR, multiples of 8. */
  readonly tableOffset: number;
  readonly pendingOffset: number;
}

export interface SlotSpec {
  /** Physical slot number: 0 to 8191. */
  readonly number: number;
  readonly hotPlug: boolean;
  /** A function may be pulled out without notice. */
  readonly surprise: boolean;
  readonly attentionButton: boolean;
  readonly powerController: boolean;
  readonly attentionIndicator: boolean;
  readonly powerIndicator: boolean;
  readonly mrlSensor: boolean;
  readonly interlock: boolean;
  /** False: software need not wait for Command Completed. */
  readonly commandCompleted: boolean;
}

export interface ExpressSpec extends Placed {
  readonly portType: number;
  /** Of the capability: 1 or 2; absent: 2. */
  readonly version?: number;
  readonly flr?: boolean;
  /** Supported, and in force: 128 to 4096. */
  readonly maxPayloadBytes: number;
  /** MRRS in force: 128 to 4096. */
  readonly maxReadRequestBytes: number;
  /** Of its link, as Max Link Speed has it: 1 for 2.5 GT/s to 6 for 64. Absent: 4. */
  readonly speed?: number;
  /** Of a port, as Link Capabilities has it. Absent: 0. */
  readonly portNumber?: number;
  readonly ltr?: boolean;
  /** Of a root port or downstream port; absent: it has no slot. */
  readonly slot?: SlotSpec;
  /** Of such a port: nothing is at the other end of its link at power-up. */
  readonly empty?: boolean;
  /** Of a root port: Configuration RRS Software Visibility is offered. */
  readonly rrsVisibility?: boolean;
}

export interface BytesSpec extends Placed {
  /** What follows the header. */
  readonly bytes: Uint8Array;
}

export interface AllocationSpec {
  /** BAR Equivalent Indicator: 0 to 5 a BAR, 6 behind the function, 7 not a BAR, 8 ROM, 9 to 14 a VF BAR. */
  readonly indicator: number;
  /** Primary Properties (PCIe Base r6.0 Table 7-98): 0 memory, 1 prefetchable memory, 2 I/O, 3 and 4 of virtual functions. */
  readonly properties: number;
  readonly address: bigint;
  readonly bytes: bigint;
}

export interface AcsSpec extends Placed {
  /** ACS Capability bits offered, and those enabled. */
  readonly offered: number;
  readonly enabled: number;
}

export interface AtsSpec extends Placed {
  /** Invalidate Queue Depth: 1 to 32. */
  readonly queueDepth: number;
}

export interface VfBarSpec {
  /** 0 to 5; a 64-bit one takes the next index too. */
  readonly index: number;
  /** Of one virtual function: a power of two, at least 4 KiB. */
  readonly bytes: bigint;
  readonly kind: 'memory32' | 'memory64';
  readonly prefetchable?: boolean;
  /** Where firmware has put the first one. */
  readonly address?: bigint;
}

export interface SriovSpec extends Placed {
  /** TotalVFs, and InitialVFs too: 1 to 65535. */
  readonly functions: number;
  /** From the routing ID of the physical function to that of the first virtual one, and between two of these. */
  readonly firstOffset: number;
  readonly stride: number;
  /** Function Dependency Link: the function's own number when it depends on no other. */
  readonly dependency: number;
  /** VF Device ID. */
  readonly device: number;
  readonly bars: readonly VfBarSpec[];
  /** Of each virtual function, in a VF BAR. It is no part of the capability: nothing of the physical function's registers says it. */
  readonly msix?: MsixSpec;
  /** Supported Page Sizes: bit n for 2^(n+12) bytes; bit 0 is always set. */
  readonly pageSizes: number;
}

export interface ResizableSpec extends Placed {
  readonly bars: readonly {
    readonly index: number;
    /** log2 of the sizes in bytes that the BAR can have, each 20 (1 MiB) or more, and of the one it has. */
    readonly sizesLg2: readonly number[];
    readonly sizeLg2: number;
  }[];
}

export interface LtrSpec extends Placed {
  /** The registers at power-up: value and scale. */
  readonly maxSnoop: number;
  readonly maxNoSnoop: number;
}

export interface DpcSpec extends Placed {
  /** Root port extensions: RP PIO registers, with a log of 4 to 9 dwords. */
  readonly rootPortLog?: number;
  readonly poisonedBlocking: boolean;
  readonly softwareTrigger: boolean;
}

export interface VendorSpec extends BytesSpec {
  readonly id: number;
  readonly revision: number;
}

export interface CapabilitySet {
  readonly power?: PowerSpec;
  /** `data`: what the memory behind the registers holds at power-up; it is no part of configuration space. Absent: the registers only hold what is written. */
  readonly vitalProductData?: Placed & { readonly data?: Uint8Array };
  readonly msi?: MsiSpec;
  readonly pcix?: Placed & { readonly bridge?: boolean };
  readonly vendorSpecific?: readonly BytesSpec[];
  readonly subsystem?: Placed & { readonly vendor: number; readonly device: number };
  readonly express?: ExpressSpec;
  readonly msix?: MsixSpec;
  readonly advancedFeatures?: Placed;
  readonly enhancedAllocation?: Placed & { readonly entries: readonly AllocationSpec[]; readonly buses?: readonly [number, number] };
  readonly aer?: Placed;
  readonly serialNumber?: Placed & { readonly value: bigint };
  readonly vendorExtended?: readonly VendorSpec[];
  readonly acs?: AcsSpec;
  readonly ari?: Placed & { readonly nextFunction: number };
  readonly ats?: AtsSpec;
  readonly sriov?: SriovSpec;
  readonly pri?: Placed & { readonly capacity: number };
  readonly resizableBar?: ResizableSpec;
  readonly ltr?: LtrSpec;
  /** `width`: 1 to 20 bits. */
  readonly pasid?: Placed & { readonly width: number; readonly execute?: boolean; readonly privileged?: boolean };
  readonly dpc?: DpcSpec;
  readonly timeMeasurement?: Placed;
  readonly designatedVendor?: readonly (VendorSpec & { readonly vendor: number })[];
}
