import { DESCRIPTOR, DESCRIPTOR_BYTES } from './registers.ts';

export interface Descriptor {
  readonly address: bigint;
  readonly bytes: number;
  readonly flags: number;
  readonly status: number;
  readonly tag: number;
}

/** As many as there are in these bytes. */
export function descriptorsIn(data: Uint8Array): Descriptor[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: data.length / DESCRIPTOR_BYTES }, (_, index) => {
    const at = index * DESCRIPTOR_BYTES;
    return {
      address: view.getBigUint64(at + DESCRIPTOR.address.offset, true),
      bytes: view.getUint32(at + DESCRIPTOR.bytes.offset, true),
      flags: view.getUint8(at + DESCRIPTOR.flags.offset),
      status: view.getUint8(at + DESCRIPTOR.status.offset),
      tag: view.getUint16(at + DESCRIPTOR.tag.offset, true),
    };
  });
}

export function bytesOf(descriptors: readonly Descriptor[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(descriptors.length * DESCRIPTOR_BYTES));
  for (const [index, { address, bytes, flags, status, tag }] of descriptors.entries()) {
    const at = index * DESCRIPTOR_BYTES;
    view.setBigUint64(at + DESCRIPTOR.address.offset, address, true);
    view.setUint32(at + DESCRIPTOR.bytes.offset, bytes, true);
    view.setUint8(at + DESCRIPTOR.flags.offset, flags);
    view.setUint8(at + DESCRIPTOR.status.offset, status);
    view.setUint16(at + DESCRIPTOR.tag.offset, tag, true);
  }
  return new Uint8Array(view.buffer);
}

/** `count` places of a ring from `from` on, as one run or, where it wraps, two. */
export function runsOf(length: number, from: number, count: number): readonly { readonly from: number; readonly count: number }[] {
  const first = Math.min(count, length - from);
  const runs = [
    { from, count: first },
    { from: 0, count: count - first },
  ];
  return runs.filter((run) => run.count > 0);
}

export function joined(parts: readonly (Uint8Array | undefined)[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + (part?.length ?? 0), 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part ?? [], at);
    at += part?.length ?? 0;
  }
  return whole;
}
