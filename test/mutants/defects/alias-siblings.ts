/** Invariant 27: functions that share a requester ID. */
import type { Defect } from '../defect.ts';

export const aliasSiblingDefects: readonly Defect[] = [
  {
    invariant: 27,
    file: 'machine/reset/done.ts',
    find: 'if (others.length === 0) return;',
    replace: 'if (others.length >= 0) return;',
    why: 'nobody looks at who shares the requester ID',
  },
  {
    invariant: 27,
    file: 'machine/reset/done.ts',
    find: 'task.waits = m.strict;',
    replace: 'task.waits = false;',
    why: 'strict opens a requester ID that another function is still blocked with',
  },
  {
    invariant: 27,
    file: 'iommu/alias-siblings.ts',
    find: 'blockedAliases(waiter).every((other) => other === device)',
    replace: 'blockedAliases(waiter).every((other) => other !== device)',
    why: 'one that waits is never released',
  },
  {
    invariant: 27,
    file: 'iommu/alias-siblings.ts',
    find: 'return device.waitsForAlias && aliasSiblings(device).some((other) => other.broken);',
    replace: 'return device.waitsForAlias && aliasSiblings(device).some((other) => other.joining);',
    why: 'a done opens the requester ID of one that is reported broken, for the one that waits for it',
  },
  {
    invariant: 27,
    file: 'machine/reset/done.ts',
    find: 'released.waitsForAlias && blockedAliases(released).length > 0',
    replace: 'released.waitsForAlias && blockedAliases(released).length > 9',
    why: 'the gate of one opens whose requester ID is that of a broken one',
  },
];
