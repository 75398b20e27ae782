import { NO_PASID, type Bdf, type Pasid } from '../base/index.ts';

/** Numbers that a PASID, or the lack of one, takes in a key. */
const PASID_KEYS = 2 ** 21;

/** What the context of a function, for requests with this PASID or without one, is found by. */
export function contextKey(bdf: Bdf, pasid: Pasid): number {
  return bdf * PASID_KEYS + (pasid - NO_PASID);
}
