import { PAGE_BYTES, addressOfPage } from '../../base/index.ts';
import type { IndeterminateRange } from '../reply.ts';
import type { Request } from '../state.ts';

/** The byte range that a request touches, physically. */
export function rangeOf(request: Request): IndeterminateRange {
  return { address: addressOfPage(request.page) + BigInt(request.iovaLow & (PAGE_BYTES - 1)), bytes: request.bytes };
}
