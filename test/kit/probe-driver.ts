/** A driver's side of dma-probe's queues: layouts restated from docs/dma-probe.md, so that a wrong offset in the product shows. */

/** Registers of queue q in BAR 0. */
export function queueAt(queue: number) {
  const base = 0x100 + queue * 0x40;
  return {
    command: base,
    state: base + 0x04,
    ringBase: base + 0x08,
    ringEntries: base + 0x10,
    tail: base + 0x14,
    head: base + 0x18,
    pasid: base + 0x1c,
    vector: base + 0x20,
    completed: base + 0x24,
    failed: base + 0x28,
    error: base + 0x2c,
  };
}

export const [START, STOP, ABORT] = [1, 2, 3] as const;
export const [STOPPED, IDLE, BUSY, STOPPING, FAILED] = [0, 1, 2, 3, 4] as const;
export const [WRITE, READ] = [1, 2] as const;
export const [FILL, INCREMENT] = [0, 1] as const;
export const FLAGS = { translated: 1 << 8, pageRequests: 1 << 9, pasid: 1 << 10, interrupt: 1 << 11, scatter: 1 << 12 } as const;
export const DESCRIPTOR_BYTES = 64;
export const STATUS_OFFSET = 0x20;

export interface DescriptorFields {
  readonly control: number;
  readonly address: number | bigint;
  readonly length: number;
  readonly pasid?: number;
  readonly pattern?: number;
  readonly seed?: number;
  readonly reserved?: number;
}

/** The driver's half of a descriptor. */
export function descriptor({ control, address, length, pasid = 0, pattern = 0, seed = 0, reserved = 0 }: DescriptorFields): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x00, control, true);
  view.setUint32(0x04, pasid, true);
  view.setBigUint64(0x08, BigInt(address), true);
  view.setUint32(0x10, length, true);
  view.setUint32(0x14, pattern, true);
  view.setUint32(0x18, seed, true);
  view.setUint32(0x1c, reserved, true);
  return bytes;
}

export function scatterList(...entries: readonly (readonly [address: number | bigint, length: number, reserved?: number])[]): Uint8Array {
  const bytes = new Uint8Array(16 * entries.length);
  const view = new DataView(bytes.buffer);
  for (const [index, [address, length, reserved = 0]] of entries.entries()) {
    view.setBigUint64(16 * index, BigInt(address), true);
    view.setUint32(16 * index + 8, length, true);
    view.setUint32(16 * index + 12, reserved, true);
  }
  return bytes;
}

/** The probe's half. */
export function statusOf(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = view.getUint32(0, true);
  return {
    done: word >>> 31 === 1,
    outcome: (word >>> 8) & 0xff,
    error: word & 0xff,
    bytesDone: view.getUint32(4, true),
    checksum: view.getUint32(8, true),
    sequence: view.getUint32(12, true),
    failedAddress: view.getBigUint64(16, true),
  };
}

/** CRC-32 by the definition, bit by bit. */
export function slowCrc32(data: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb8_8320;
  }
  return ~crc >>> 0;
}
