import type { RegisterTable } from './register-table.ts';

/** Device/Port Type of the PCI Express capability (PCIe Base r6.0 §7.5.3.2); `none`: a conventional function. */
export const PORT_TYPE = {
  none: -1,
  endpoint: 0,
  legacyEndpoint: 1,
  rootPort: 4,
  upstreamPort: 5,
  downstreamPort: 6,
  expressToPci: 7,
  pciToExpress: 8,
  integratedEndpoint: 9,
  eventCollector: 10,
} as const;

const HEADER_TYPE_AT = 0x0e;

/** What a capability's table is made from: its bytes as they were at power-up, and the kind of function it is in. */
export class CapabilityBody {
  readonly #image: Uint8Array;
  readonly #offset: number;
  /** A {@link PORT_TYPE}. */
  readonly portType: number;
  readonly version: number;

  constructor(image: Uint8Array, offset: number, portType: number, version: number) {
    this.#image = image;
    this.#offset = offset;
    this.portType = portType;
    this.version = version;
  }

  u8(at: number): number {
    return this.#image[this.#offset + at] ?? 0;
  }
  u16(at: number): number {
    return this.u8(at) | (this.u8(at + 1) << 8);
  }
  u32(at: number): number {
    return (this.u16(at) | (this.u16(at + 2) << 16)) >>> 0;
  }
  bit(at: number, bit: number): boolean {
    return ((this.u8(at + (bit >> 3)) >>> (bit & 7)) & 1) === 1;
  }

  /** In a type 1 header. */
  get bridge(): boolean {
    return (this.#image[HEADER_TYPE_AT]! & 0x7f) === 1;
  }
  /** A port with a link below it. */
  get downstream(): boolean {
    return this.portType === PORT_TYPE.rootPort || this.portType === PORT_TYPE.downstreamPort;
  }
  /** A root port or a root complex event collector. */
  get root(): boolean {
    return this.portType === PORT_TYPE.rootPort || this.portType === PORT_TYPE.eventCollector;
  }
}

/** A kind of capability. Bits that no register names are read-only. */
export interface CapabilityKind {
  readonly id: number;
  readonly name: string;
  readonly cite: string;
  /** Length of the structure in bytes, its header included. */
  readonly bytes: (body: CapabilityBody) => number;
  readonly registers: (body: CapabilityBody) => RegisterTable;
}
