import { CLOSE_REASON_BYTES_MAX } from '../../../proto/limits.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** `reason` cut so that it fits a close frame, never inside a character. */
export function closeReason(reason: string): string {
  const { read, written } = encoder.encodeInto(reason, new Uint8Array(CLOSE_REASON_BYTES_MAX));
  return read === reason.length || written === 0 ? reason : decoder.decode(encoder.encode(reason.slice(0, read)));
}
