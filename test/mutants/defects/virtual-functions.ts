/** Invariants 26 and 7: functions that come and go. */
import type { Defect } from '../defect.ts';

export const virtualFunctionDefects: readonly Defect[] = [
  {
    invariant: 26,
    file: 'machine/reset/virtual-windows.ts',
    find: 'if (!m.strict) return true;',
    replace: 'if (m.strict) return true;',
    why: 'a window of a physical function fences its virtual ones in Linux, and in strict it does not',
  },
  {
    invariant: 26,
    file: 'machine/reset/virtual-windows.ts',
    find: 'if (fn.device?.windows.includes(theirs) !== true) continue;',
    replace: 'if (fn.device?.windows.includes(token) !== true) continue;',
    why: 'virtual functions stay blocked when the window of their physical one closes',
  },
  {
    invariant: 26,
    file: 'machine/hierarchy/virtual-functions.ts',
    find: 'if (!restores) {',
    replace: 'if (restores) {',
    why: 'a reset of a physical function takes its virtual ones out of their groups',
  },
  {
    invariant: 26,
    file: 'machine/hierarchy/virtual-functions.ts',
    find: 'if (m.strict) joinWindows(m, physical, added);',
    replace: 'if (!m.strict) joinWindows(m, physical, added);',
    why: 'virtual functions that are enabled while their physical one is in a window translate at once',
  },
  {
    invariant: 26,
    file: 'machine/hierarchy/virtual-functions.ts',
    find: "if (operation.kind === 'prepare' && operation.fn === physical) tokens.add(operation.token);",
    replace: "if (operation.kind === 'prepare' && operation.fn !== physical) tokens.add(operation.token);",
    why: 'virtual functions that are enabled while the window of their physical one is being opened are not in it',
  },
  {
    invariant: 7,
    file: 'iommu/membership.ts',
    find: 'if (device.resetDepth > 0) group.recoveryCount--;',
    replace: 'if (device.resetDepth > 1) group.recoveryCount--;',
    why: 'a group goes on counting the window of a member that has gone',
  },
];
