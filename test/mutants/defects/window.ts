/** Invariants 1 to 8, and 25: prepare, done, and their counters. */
import type { Defect } from '../defect.ts';

const PREPARE = 'machine/reset/prepare.ts';
const DONE = 'machine/reset/done.ts';
const WINDOW = 'machine/reset/window.ts';
const FENCE = 'iommu/fence.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';

export const windowDefects: readonly Defect[] = [
  {
    invariant: 1,
    file: WINDOW,
    find: '(!m.strict && !device.atsSupported)',
    replace: '(m.iommu !== undefined && !device.atsSupported)',
    why: 'strict lets a function without ATS through its reset unfenced, as Linux does',
  },
  {
    invariant: 1,
    file: WINDOW,
    find: '(!m.strict && !device.atsSupported)',
    replace: '(m.iommu === undefined && !device.atsSupported)',
    why: 'linux-7.1 fences a function without ATS',
  },
  {
    invariant: 2,
    file: LOW_LEVEL,
    find: 'setRidContexts(ports.translation, device, domain, false);',
    replace: 'setRidContexts(ports.translation, device, old, false);',
    why: 'the RID is noted as blocked, and its context still points at the old domain',
  },
  {
    invariant: 2,
    file: LOW_LEVEL,
    find: 'device.physical = domain;\n  // Linux',
    replace: 'device.physical = device.group.domain = domain;\n  // Linux',
    why: 'the logical domain moves to blocking with the physical one',
  },
  {
    invariant: 3,
    file: FENCE,
    find: 'pasid, domain: group.blockingDomain, must: false',
    replace: 'pasid, domain: undefined, must: false',
    why: 'the contexts of PASIDs are removed in place of blocked',
  },
  {
    invariant: 3,
    file: PREPARE,
    find: '  device.group.recoveryCount++;',
    replace: '  device.group.pasids.clear();\n  device.group.recoveryCount++;',
    why: 'the PASID table is emptied when its entries are blocked',
  },
  {
    invariant: 4,
    file: FENCE,
    find: 'if (device.physical !== domain && ports.attachFails(device))',
    replace: 'device.blocked = true;\n  if (device.physical !== domain && ports.attachFails(device))',
    why: 'blocked is set before the attach that can fail',
  },
  {
    invariant: 4,
    file: PREPARE,
    find: "case 'give-up':\n      setGate(m, task.fn, task.device.window.at === 'open');",
    replace: "case 'give-up':",
    why: 'a prepare that gives up leaves its gate closed',
  },
  {
    invariant: 5,
    file: DONE,
    find: '  if (device.resetDepth > 0) return true;\n  task.stays',
    replace: '  task.stays',
    also: { find: '  if (device.resetDepth > 0) return true;\n  if (device.broken)', replace: '  if (device.broken)' },
    why: 'the first done unblocks, whatever the depth',
  },
  {
    invariant: 5,
    file: PREPARE,
    find: 'if (device.resetDepth === 0) return true;',
    replace: 'if (device.resetDepth <= 1) return true;',
    why: 'a second prepare does not see that the first is open',
  },
  {
    invariant: 5,
    file: PREPARE,
    find: 'if (open !== undefined) {',
    replace: 'if (open === NOTHING_DONE) {',
    also: { find: 'if (open === undefined) return true;', replace: 'if (open !== NOTHING_DONE) return true;' },
    why: 'a prepare that is sent again opens a second window',
  },
  {
    invariant: 6,
    file: DONE,
    find: 'device.windows.filter((token) => token === task.token);',
    replace: '[task.token];',
    why: 'done does not check that there is a window',
  },
  {
    invariant: 6,
    file: DONE,
    find: 'device.windows.filter((token) => token === task.token);',
    replace: 'device.windows.slice(-1);',
    why: 'done closes the innermost window, whosever it is',
  },
  {
    invariant: 7,
    file: PREPARE,
    find: 'device.group.recoveryCount++;',
    replace: 'device.group.recoveryCount = 1;',
    why: 'the count is a flag: a second function of the group is not in it',
  },
  {
    invariant: 7,
    file: PREPARE,
    find: '  task.report = { ...NOTHING_DONE,',
    replace: '  device.group.recoveryCount++;\n  task.report = { ...NOTHING_DONE,',
    why: 'windows are counted, not functions',
  },
  {
    invariant: 8,
    file: DONE,
    find: 'device.resetDepth = device.windows.length;',
    replace: 'device.resetDepth = device.windows.length;\n  device.blocked = false;',
    why: 'the flag falls with the first done, the fence with the last',
  },
  {
    invariant: 8,
    file: FENCE,
    find: "  steps.push({ kind: 'blocked', device, on: false });\n",
    replace: '',
    why: 'the flag stays up when translation is back',
  },
  {
    invariant: 25,
    file: FENCE,
    find: 'goesOn: !policy.staysBlockedOnFailure,',
    replace: 'goesOn: !policy.staysBlockedOnFailure || !policy.atsOffFirst,',
    why: 'strict drops the flag of a function whose domain could not be restored, as Linux does',
  },
  {
    invariant: 25,
    file: DONE,
    find: '  device.group.recoveryCount--;',
    replace: '  if (restored) device.group.recoveryCount--;',
    why: 'a restore that fails leaves the count up, and the group busy for ever',
  },
  {
    invariant: 25,
    file: LOW_LEVEL,
    find: 'if (!step.must && ports.attachFails(step.device)) return refusal(step.device, step.refused);',
    replace:
      'if (!step.must && ports.attachFails(step.device)) {\n' +
      '  if (step.device.blocked) ports.translation.setContext(step.device.bdf, NO_PASID, step.domain.space, false);\n' +
      '  return refusal(step.device, step.refused);\n}',
    why: 'a function whose restore failed is open all the same',
  },
];
