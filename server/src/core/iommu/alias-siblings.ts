/**
 * Members of a group that one requester ID may stand for (pci_for_each_dma_alias): what blocks it blocks them all, and what gives one its domain back opens
 * the others. Linux warns of that and goes on (15dd29ca6206); `strict` has the one that is ready wait for the last.
 */
import type { GroupDevice } from './group.ts';

function idsOf({ bdf, dmaAliases }: GroupDevice): readonly number[] {
  return [bdf, ...dmaAliases];
}

function aliasSiblings(device: GroupDevice): readonly GroupDevice[] {
  const ids = new Set(idsOf(device));
  return device.group.members.filter((other) => other !== device && idsOf(other).some((id) => ids.has(id)));
}

/** Of these the ones that are blocked for a reason of their own: a window, or a reset that failed. */
export function blockedAliases(device: GroupDevice): readonly GroupDevice[] {
  return aliasSiblings(device).filter((other) => other.blocked && !other.waitsForAlias);
}

/** It waits for one that was reported broken, perhaps while a done was giving both their domains back. */
export function waitsForBroken(device: GroupDevice): boolean {
  return device.waitsForAlias && aliasSiblings(device).some((other) => other.broken);
}

/** Those that wait for this one, whoever else they wait for. */
export function waitingFor(device: GroupDevice): readonly GroupDevice[] {
  return aliasSiblings(device).filter((other) => other.waitsForAlias);
}

/** Those that wait for this one, and for no other. */
export function waitersOf(device: GroupDevice): readonly GroupDevice[] {
  return aliasSiblings(device).filter((waiter) => waiter.waitsForAlias && blockedAliases(waiter).every((other) => other === device));
}
