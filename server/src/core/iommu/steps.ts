/**
 * The micro-steps of calls that change a group, as plain data. A call is a list of what is still to be done, so it can stand between any two steps while
 * all that needs no group mutex goes on: map and unmap, DMA, ATS, invalidations.
 */
import type { Errno, Pasid } from '../base/index.ts';
import type { AddressSpace } from '../translation/index.ts';
import type { Domain, Group, GroupDevice, IommuEffect } from './group.ts';

/** What happens when the hardware refuses a move. Absent: the call fails, and nothing is put back. */
export interface Refused {
  /** What is done then: it puts earlier members back, or parks this one. */
  readonly steps: readonly GroupStep[];
  /** Whether the call goes on with the steps after it, or fails. */
  readonly goesOn: boolean;
  /** Told of the function then. */
  readonly warning?: string;
}

export type GroupStep =
  /** The RID's context gets a domain. `must`: the hardware cannot refuse it, since the context had it before, or it is blocking. */
  | {
      readonly kind: 'rid';
      readonly device: GroupDevice;
      readonly domain: Domain;
      readonly must: boolean;
      readonly refused: Refused | undefined;
    }
  /** The RID's context gets the domain of its window, whatever the group's logical domain is. `ats`: ATS was in use. */
  | { readonly kind: 'fence'; readonly device: GroupDevice; readonly domain: Domain; readonly ats: boolean }
  /** It gets the blocking domain in place of that one. */
  | { readonly kind: 'park'; readonly device: GroupDevice }
  /** A PASID's context gets a domain, or (undefined) is removed. */
  | {
      readonly kind: 'pasid';
      readonly device: GroupDevice;
      readonly pasid: Pasid;
      readonly domain: Domain | undefined;
      readonly must: boolean;
      readonly refused: Refused | undefined;
    }
  /** Requests in flight that were translated in these spaces are noted, and will be awaited. */
  | { readonly kind: 'iotlb'; readonly device: GroupDevice; readonly spaces: readonly AddressSpace[] }
  /** The ATC invalidation of what was left is sent. */
  | { readonly kind: 'atc-sent'; readonly device: GroupDevice; readonly pasid: Pasid; readonly spaces: readonly AddressSpace[] }
  /** The same for the whole ATC, as a fence does; from here on nothing more is sent to the function. */
  | { readonly kind: 'whole-atc-sent'; readonly device: GroupDevice; readonly spaces: readonly AddressSpace[] }
  | { readonly kind: 'ats-enable'; readonly device: GroupDevice; readonly on: boolean }
  | { readonly kind: 'blocked'; readonly device: GroupDevice; readonly on: boolean }
  | { readonly kind: 'group-domain'; readonly group: Group; readonly domain: Domain }
  | { readonly kind: 'default-domain'; readonly group: Group; readonly domain: Domain | undefined }
  | { readonly kind: 'pasid-table'; readonly group: Group; readonly pasid: Pasid; readonly domain: Domain | undefined }
  | { readonly kind: 'owner'; readonly group: Group; readonly owned: boolean }
  | { readonly kind: 'warning'; readonly device: GroupDevice; readonly text: string };

/** What a call is to do, or why it is refused: then nothing is done. */
export interface Plan {
  readonly error: Errno;
  readonly steps: readonly GroupStep[];
}

/** What a step came to. */
export interface Performed {
  /** An errno: the rest of the call is not done, but `steps` are. */
  readonly error: Errno;
  readonly effects: readonly IommuEffect[];
  /** To be done next, before what the call has left. */
  readonly steps: readonly GroupStep[];
}
