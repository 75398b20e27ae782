/** Invariants 9 to 15, 22, 28, 42 to 46 and 50: attach and detach, in the window and out of it. */
import type { Defect } from '../defect.ts';

const ATTACH = 'iommu/attach.ts';
const FENCE = 'iommu/fence.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';
const DIRECT = "  if (blocksDirect(group, domain)) return refused('EINVAL');\n";
const MOVE = `${DIRECT}  return { error: OK, steps: moveGroup(group, domain, undo) };`;
const BUSY = "  if (group.recoveryCount > 0) return refused('EBUSY');\n";
const SAME = '  if (domain === group.domain) return NOTHING;\n';
const ARGUMENTS =
  "  if (pasid === 0 || domain.type !== 'paging' || capable.some((device) => pasid >= device.pasidsMax)) return refused('EINVAL');\n";
const FENCE_HEAD = 'export function planFence(ports: AttachPorts, device: GroupDevice, policy: FencePolicy): Plan {';
const RESTORE_HEAD = '  const { group } = device;\n  const steps: GroupStep[] = [];';
const NOT_OWNED = "  if (!group.owned) return refused('EINVAL');\n";
const CURRENT = '  const current = group.pasids.get(pasid);';

export const attachDefects: readonly Defect[] = [
  {
    invariant: 44,
    file: 'iommu/default-domain.ts',
    find: 'planAttach(group, fresh, [named(group.defaultDomain)])',
    replace: 'planAttach(group, fresh)',
    why: 'a default domain that a member was refused stays the default',
  },
  { invariant: 9, file: ATTACH, find: BUSY + MOVE, replace: MOVE, why: 'attach does not ask for a window' },
  {
    invariant: 9,
    file: ATTACH,
    find: BUSY + MOVE,
    replace: `  if (group.members.every((device) => device.blocked)) return refused('EBUSY');\n${MOVE}`,
    why: 'attach is refused only when every member is in a window',
  },
  {
    invariant: 9,
    file: ATTACH,
    find: BUSY + MOVE,
    replace: `  if (group.recoveryCount > 0) group.domain = domain;\n${BUSY}${MOVE}`,
    why: 'an attach that is refused has moved the logical domain',
  },
  { invariant: 10, file: ATTACH, find: BUSY + CURRENT, replace: CURRENT, why: 'attach of a PASID does not ask for a window' },
  {
    invariant: 10,
    file: ATTACH,
    find: ARGUMENTS + BUSY,
    replace: BUSY + ARGUMENTS,
    why: 'EBUSY for a call that would be EINVAL after the window too',
  },
  {
    invariant: 10,
    file: ATTACH,
    find: 'capable.filter((device) => !device.blocked)',
    replace: 'capable.slice()',
    why: 'attach of a PASID opens it on a quarantined member',
  },
  {
    invariant: 11,
    file: ATTACH,
    find: SAME + BUSY,
    replace: BUSY + SAME,
    why: 'attaching the current domain again is EBUSY in a window',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: '  return mustMoveGroup(group, group.owned',
    replace: `${BUSY}  return mustMoveGroup(group, group.owned`,
    why: 'detach is EBUSY in a window, and its caller cannot fail',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: 'group.members.filter((device) => !device.blocked);\n  const warning',
    replace: 'group.members.slice();\n  const warning',
    why: 'detach moves the blocked device out of its fence',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: 'moveRid(device, group.blockingDomain, true)',
    replace: 'moveRid(device, group.blockingDomain)',
    why: 'parking on blocking can be refused, and the function stays on a domain that is gone',
  },
  {
    invariant: 13,
    file: FENCE,
    find: FENCE_HEAD,
    replace: `const RETAINED = new WeakMap<GroupDevice, GroupDevice['physical']>();\n\n${FENCE_HEAD}\n  RETAINED.set(device, device.group.domain ?? device.physical);`,
    also: {
      find: RESTORE_HEAD,
      replace: RESTORE_HEAD.replace(
        '{ group } = device',
        'group = { ...device.group, domain: RETAINED.get(device) ?? device.group.domain }',
      ),
    },
    why: 'done restores the domain that was current at prepare',
  },
  {
    invariant: 14,
    file: ATTACH,
    find: 'if (!group.pasids.has(pasid)) return',
    replace: 'if (group.recoveryCount > 0 || !group.pasids.has(pasid)) return',
    why: 'detach of a PASID in the window is forgotten, and done brings it back',
  },
  {
    invariant: 14,
    file: ATTACH,
    find: "    else if (!fixed('fc3523b16d2b')) steps",
    replace: "    else if (!fixed('fc3523b16d2b') || device.atsSupported) steps",
    why: 'detach of a PASID invalidates the ATC of a blocked device (before fc3523b16d2b)',
  },
  {
    invariant: 15,
    file: 'iommu/domain-invalidation.ts',
    find: 'if (!atcInUse(device) || device.atcFenced) continue;',
    replace: 'if (!atcInUse(device) && !device.atsWanted) continue;',
    also: { find: 'domain: device.physical }', replace: 'domain: device.group.domain ?? device.physical }' },
    why: 'unmap asks every function whose group has the domain, in a window or not',
  },
  {
    invariant: 22,
    file: ATTACH,
    find: "  if (blocksDirect(group, group.blockingDomain)) return refused('EINVAL');\n",
    replace: '',
    why: 'a function with a direct region can be claimed, and is blocked',
  },
  { invariant: 22, file: ATTACH, find: DIRECT, replace: '', why: 'a function with a direct region can be attached to a blocked domain' },
  {
    invariant: 22,
    file: FENCE,
    find: '  const fence: GroupStep =',
    replace: "  if (device.requireDirect) return { error: errno('EINVAL'), steps: [] };\n  const fence: GroupStep =",
    why: 'a function with a direct region cannot be reset, as the first drafts had it',
  },
  {
    invariant: 28,
    file: FENCE,
    find: 'for (const device of perDevice ? [reset] : reset.group.members) {',
    replace: 'for (const device of reset.group.members) {',
    why: 'restoring PASIDs opens those of the siblings',
  },
  {
    invariant: 28,
    file: FENCE,
    find: '      if (perDevice && device.pasidsMax === 0) continue;\n',
    replace: '',
    why: 'PASIDs of the group are restored to a function that has none',
  },
  {
    invariant: 42,
    file: LOW_LEVEL,
    find: '  if (device.group.domain !== device.group.blockingDomain) device.attachDeferred = false;',
    replace: '',
    why: 'a window leaves the deferral, which the driver then meets in it',
  },
  {
    invariant: 42,
    file: LOW_LEVEL,
    find: '  device.attachDeferred = false;\n',
    replace: '',
    why: 'an attach leaves the deferral',
  },
  {
    invariant: 42,
    file: ATTACH,
    find: 'if (inWindow) return',
    replace: 'if (inWindow && group.domain === undefined) return',
    also: { find: 'if (!attachDeferred || group.domain', replace: 'if (group.domain' },
    why: 'a driver that has looked before a prepare is attached in the window, since nobody looks again',
  },
  {
    invariant: 43,
    file: ATTACH,
    find: 'if (group.recoveryCount > 0 || group.domain !== group.defaultDomain',
    replace: 'if (group.domain !== group.defaultDomain',
    why: 'a group is claimed while one of its functions is in a window',
  },
  {
    invariant: 43,
    file: ATTACH,
    find: NOT_OWNED,
    replace: NOT_OWNED + BUSY,
    why: 'release is EBUSY in a window, and its caller cannot fail',
  },
  {
    invariant: 44,
    file: ATTACH,
    find: 'open.slice(0, moved).map((earlier) => moveRid(',
    replace: 'open.slice(moved, moved).map((earlier) => moveRid(',
    why: 'members that had moved stay in the new domain when a later one fails',
  },
  {
    invariant: 44,
    file: ATTACH,
    find: 'moveRid(earlier, group.domain ?? group.blockingDomain, true)',
    replace: 'moveRid(earlier, group.domain ?? group.blockingDomain)',
    why: 'putting members back can be refused',
  },
  {
    invariant: 45,
    file: ATTACH,
    find: 'group.owned ? group.blockingDomain : group.restDomain',
    replace: 'group.defaultDomain',
    why: 'detach gives an owned group the default domain of the kernel',
  },
  {
    invariant: 45,
    file: ATTACH,
    find: 'mustMoveGroup(group, group.restDomain, fixed)',
    replace: 'mustMoveGroup(group, group.blockingDomain, fixed)',
    why: 'a group that is released stays on blocking',
  },
  {
    invariant: 46,
    file: ATTACH,
    find: 'movePasid(earlier, pasid, current, true)',
    replace: 'movePasid(earlier, pasid, undefined, true)',
    why: 'a failed replace removes the PASID of the members that had moved',
  },
  {
    invariant: 46,
    file: ATTACH,
    find: "[...steps, { kind: 'pasid-table', group, pasid, domain }]",
    replace: "[{ kind: 'pasid-table', group, pasid, domain }, ...steps]",
    why: 'the table has the new domain before every member has it',
  },
  {
    invariant: 46,
    file: LOW_LEVEL,
    find: 'step.domain !== undefined && ports.attachFails(step.device)) return',
    replace:
      'step.domain !== undefined && ports.attachFails(step.device) && movePasid(ports, step.device, step.pasid, step.domain)) return',
    why: 'a PASID that could not be moved has moved',
  },
  {
    invariant: 50,
    file: 'pci/topology.ts',
    find: '[...functions].sort((a, b) => a.bdf - b.bdf)',
    replace: '[...functions]',
    why: 'groups are formed and numbered in the order in which functions are found',
  },
];
