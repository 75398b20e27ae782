/** What an invariant of the reset window says of a function and a group that no call is at work on. */
import { formatBdf } from '../core/base/index.ts';
import type { InspectedDomain, InspectedFunction, InspectedGroup, InspectedPasid } from '../core/machine/index.ts';

const PAGE = 4096n;

export interface Violation {
  /** The number of the invariant; 0 for a call that is never answered, or an expectation of the file's own. */
  readonly invariant: number;
  readonly text: string;
}

export function restOf(fn: InspectedFunction, refuses: boolean): Violation | undefined {
  const { blocked, quarantined, resetDepth, physical, pasids, group } = fn;
  const name = formatBdf(fn.bdf);
  if (blocked !== (resetDepth > 0 || quarantined))
    return { invariant: 8, text: `${name} is ${blocked ? '' : 'not '}blocked with ${resetDepth} open windows` };
  const { domain, blockingDomain } = group;
  if (fn.attachDeferred && domain?.id !== blockingDomain.id && (blocked || physical.id === domain?.id)) {
    return { invariant: 42, text: `${name} has been moved, and its attach is still deferred` };
  }
  if (blocked) {
    if (!isIsolated(fn)) return { invariant: 2, text: `${name} is blocked, and its RID has domain ${physical.id}` };
    // Linux goes on where the hardware refuses a PASID's move, and warns.
    const open = refuses ? undefined : pasids.find(isOpen);
    return open === undefined
      ? undefined
      : { invariant: 3, text: `${name} is blocked, and its PASID ${open.pasid} has domain ${open.physical?.id}` };
  }
  const parked = refuses && physical.id === blockingDomain.id;
  if (!fn.attachDeferred && !parked && physical.id !== (domain ?? blockingDomain).id) {
    return {
      invariant: domain === undefined ? 24 : 13,
      text: `${name} is open on domain ${physical.id}, and its group has ${idOf(domain)}`,
    };
  }
  const other = refuses ? undefined : pasids.find((entry) => entry.physical?.id !== entry.logical?.id);
  if (other === undefined && !fn.gateOpen) return { invariant: 20, text: `${name} is in no window, and its gate is closed` };
  return other === undefined
    ? undefined
    : { invariant: 13, text: `PASID ${other.pasid} of ${name} is on domain ${other.physical?.id}, and its group has ${other.logical?.id}` };
}

export function countOf({ id, recoveryCount, inWindow }: InspectedGroup): Violation | undefined {
  if (inWindow === recoveryCount) return undefined;
  return { invariant: 7, text: `group ${id} counts ${recoveryCount} functions in a window, and there are ${inWindow}` };
}

/** In its window. */
export function fenced({ blocked, resetDepth }: InspectedFunction): boolean {
  return blocked && resetDepth > 0;
}

export function isOpen({ physical }: InspectedPasid): boolean {
  return physical !== undefined && physical.type !== 'blocked';
}

export function idOf(domain: InspectedDomain | undefined): string {
  return domain === undefined ? 'none' : `${domain.id}`;
}

/** On the blocking domain; in its window perhaps on the one that the machine's isolation gives it, which is the same where that is `blocked`. */
function isIsolated({ physical, windowDomain, group, resetDepth }: InspectedFunction): boolean {
  return physical.id === group.blockingDomain.id || (resetDepth > 0 && physical.id === windowDomain.id);
}

/** What isolation by direct regions leaves a function in its window; `blocked` leaves it nothing, since the domain is the blocking one. */
export function leavesOpen(fn: InspectedFunction, page: number): boolean {
  const { physical, windowDomain, group } = fn;
  return physical.id === windowDomain.id && windowDomain.id !== group.blockingDomain.id && isDirectPage(fn, BigInt(page));
}

export function isDirectPage({ directRegions }: InspectedFunction, page: bigint): boolean {
  const at = page * PAGE;
  return directRegions.some(({ address, bytes }) => at >= address && at < address + bytes);
}
