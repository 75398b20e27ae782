/** Invariants 9 to 15, 22, 28, 42 to 46 and 50: attach and detach, in the window and out of it. */
import type { Defect } from '../defect.ts';

const ATTACH = 'iommu/attach.ts';
const FENCE = 'iommu/fence.ts';
const IOMMU = 'iommu/iommu.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';
const DIRECT = "  if (blocksDirect(group, domain)) return refused('EINVAL');\n";
const MOVE = `${DIRECT}  return moveGroup(ports, group, domain);`;
const BUSY = "  if (group.recoveryCount > 0) return refused('EBUSY');\n";
const SAME = '  if (domain === group.domain) return { error: OK, effects: [] };\n';
const ARGUMENTS =
  "  if (pasid === 0 || domain.type !== 'paging' || capable.some((device) => pasid >= device.pasidsMax)) return refused('EINVAL');\n";
const FENCE_HEAD = 'export function fence(ports: AttachPorts, device: GroupDevice, ats: boolean): readonly IommuEffect[] {';
const CURRENT = '  const current = group.pasids.get(pasid);';

export const attachDefects: readonly Defect[] = [
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
    find: '  return mustMoveGroup(ports, group, group.owned',
    replace: `${BUSY}  return mustMoveGroup(ports, group, group.owned`,
    why: 'detach is EBUSY in a window, and its caller cannot fail',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: '    if (device.blocked) continue;\n    if (attachRid',
    replace: '    if (attachRid',
    why: 'detach moves the blocked device out of its fence',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: 'moveRid(ports, device, group.blockingDomain, effects);',
    replace: 'attachRid(ports, device, group.blockingDomain, effects);',
    why: 'parking on blocking can be refused, and the function stays on a domain that is gone',
  },
  {
    invariant: 13,
    file: FENCE,
    find: FENCE_HEAD,
    replace: `const RETAINED = new WeakMap<GroupDevice, GroupDevice['physical']>();\n\n${FENCE_HEAD}\n  RETAINED.set(device, device.group.domain);`,
    also: {
      find: '  if (group.domain !== group.blockingDomain) error = attachRid(ports, device, group.domain, effects);',
      replace: '  error = attachRid(ports, device, RETAINED.get(device) ?? group.domain, effects);',
    },
    why: 'done restores the domain that was current at prepare',
  },
  {
    invariant: 14,
    file: ATTACH,
    find: 'if (!group.pasids.delete(pasid)) return',
    replace: 'if (group.recoveryCount > 0 || !group.pasids.delete(pasid)) return',
    why: 'detach of a PASID in the window is forgotten, and done brings it back',
  },
  {
    invariant: 14,
    file: ATTACH,
    find: "    else if (!ports.fixed('fc3523b16d2b')) detachBlocked(",
    replace: '    else detachBlocked(',
    why: 'detach of a PASID invalidates the ATC of a blocked device (before fc3523b16d2b)',
  },
  {
    invariant: 15,
    file: IOMMU,
    find: 'if (!device.atsEnabled || device.blocked) continue;',
    replace: 'if (!device.atsWanted) continue;',
    also: { find: 'if (device.physical === domain) yield', replace: 'if (device.group.domain === domain) yield' },
    why: 'unmap asks every function whose group has the domain, in a window or not',
  },
  {
    invariant: 22,
    file: ATTACH,
    find: "    if (blocksDirect(group, group.blockingDomain)) return refused('EINVAL');\n",
    replace: '',
    why: 'a function with a direct region can be claimed, and is blocked',
  },
  { invariant: 22, file: ATTACH, find: DIRECT, replace: '', why: 'a function with a direct region can be attached to a blocked domain' },
  {
    invariant: 22,
    file: FENCE,
    find: '  if (policy.atsOffFirst) setAtsEnable(device, false, effects);',
    replace:
      "  if (device.requireDirect) return { error: errno('EINVAL'), effects };\n  if (policy.atsOffFirst) setAtsEnable(device, false, effects);",
    why: 'a function with a direct region cannot be reset, as the first drafts had it',
  },
  {
    invariant: 28,
    file: FENCE,
    find: 'for (const device of fixed ? [reset] : reset.group.members) {',
    replace: 'for (const device of reset.group.members) {',
    why: 'restoring PASIDs opens those of the siblings',
  },
  {
    invariant: 28,
    file: FENCE,
    find: '    if (fixed && device.pasidsMax === 0) continue;\n',
    replace: '',
    why: 'PASIDs of the group are restored to a function that has none',
  },
  {
    invariant: 42,
    file: FENCE,
    find: '  if (group.domain !== group.blockingDomain) device.attachDeferred = false;',
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
    invariant: 43,
    file: ATTACH,
    find: 'if (group.recoveryCount > 0 || group.domain !== group.defaultDomain',
    replace: 'if (group.domain !== group.defaultDomain',
    why: 'a group is claimed while one of its functions is in a window',
  },
  {
    invariant: 43,
    file: ATTACH,
    find: '  group.owned = false;',
    replace: `${BUSY}  group.owned = false;`,
    why: 'release is EBUSY in a window, and its caller cannot fail',
  },
  {
    invariant: 44,
    file: ATTACH,
    find: 'for (const earlier of moved) if (!earlier.blocked) moveRid(ports, earlier, group.domain, effects);',
    replace: '',
    why: 'members that had moved stay in the new domain when a later one fails',
  },
  {
    invariant: 44,
    file: ATTACH,
    find: 'if (!earlier.blocked) moveRid(ports, earlier, group.domain, effects);',
    replace: 'if (!earlier.blocked) attachRid(ports, earlier, group.domain, effects);',
    why: 'putting members back can be refused',
  },
  {
    invariant: 45,
    file: ATTACH,
    find: 'group.owned ? group.blockingDomain : group.defaultDomain',
    replace: 'group.defaultDomain',
    why: 'detach gives an owned group the default domain of the kernel',
  },
  {
    invariant: 45,
    file: ATTACH,
    find: '  return mustMoveGroup(ports, group, group.defaultDomain);',
    replace: '  return mustMoveGroup(ports, group, group.blockingDomain);',
    why: 'a group that is released stays on blocking',
  },
  {
    invariant: 46,
    file: ATTACH,
    find: 'movePasid(ports, earlier, pasid, current, effects);',
    replace: 'movePasid(ports, earlier, pasid, undefined, effects);',
    why: 'a failed replace removes the PASID of the members that had moved',
  },
  {
    invariant: 46,
    file: ATTACH,
    find: '  // A quarantined member gets it',
    replace: '  group.pasids.set(pasid, domain);\n  // A quarantined member gets it',
    why: 'the table has the new domain before every member has it',
  },
  {
    invariant: 46,
    file: LOW_LEVEL,
    find: "  if (domain !== undefined && ports.attachFails(device)) return errno('EIO');\n  movePasid(ports, device, pasid, domain, effects);\n  return OK;",
    replace:
      '  const fails = domain !== undefined && ports.attachFails(device);\n' +
      "  movePasid(ports, device, pasid, domain, effects);\n  return fails ? errno('EIO') : OK;",
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
