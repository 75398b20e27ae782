import type { Link } from '../harness/index.ts';

/** From here on a payload is bulk: its receiver copies it once into a fresh buffer, its sender does not copy it. */
export const BULK_BYTES = 4096;

/** Bytes of one request and of its reply, as the measure has them on its wire. */
export interface Sizes {
  readonly requestBytes: number;
  readonly replyBytes: number;
}

/** A connected floor: its server runs in a process of its own, its client here. */
export interface Floor extends Link {
  close(): Promise<void>;
}

/** Payloads that no compression and no zero page makes cheap. */
export function payload(bytes: number): Buffer {
  const data = Buffer.allocUnsafeSlow(bytes);
  for (let i = 0; i < bytes; i++) data[i] = (i * 167 + 13) & 0xff;
  return data;
}

/** The bytes per reply that a floor's server was started with. */
export function replyBytesArgument(): number {
  const bytes = Number(process.argv[2]);
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`bytes per reply: ${process.argv[2]}`);
  return bytes;
}
