/** A register's value as bytes of memory have it, and back: little-endian. */
import type { RegionReadReply } from '../reply.ts';

const BYTES = 8;

/** The reply to a read of at most 8 bytes. */
export function valueReply(data: Uint8Array): RegionReadReply {
  const view = new DataView(new ArrayBuffer(BYTES));
  for (const [at, byte] of data.entries()) view.setUint8(at, byte);
  return { kind: 'region-read', valueLow: view.getUint32(0, true), valueHigh: view.getInt32(4, true) };
}

export function bytesOf(bytes: number, valueLow: number, valueHigh: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(BYTES));
  view.setInt32(0, valueLow, true);
  view.setInt32(4, valueHigh, true);
  return new Uint8Array(view.buffer, 0, bytes);
}
