/** Invariants 5, 9, 12, 13, 16 to 18 and 42: what goes wrong between the steps of a call. */
import type { Defect } from '../defect.ts';

const ATTACH = 'iommu/attach.ts';
const DONE = 'machine/reset/done.ts';
const INVALIDATION = 'iommu/domain-invalidation.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';
const CHANGES = 'machine/domains/group-changes.ts';
const CHANGE_LOCK = "  { step: 'lock', run: (m, call) => tryLock(m, call.device.group, call) },\n";
const DONE_LOCK = "  { step: 'lock', run: (m, task) => tryLock(m, task.device.group, task) },\n";
const CHECK = "  { step: 'check', run: check },\n";
const LEAVING = '    device.leaving = [';
const PUBLISHED = 'refused: { steps: parked, goesOn: true, warning } };\n  });\n  return { error: OK, steps: [';

export const stepDefects: readonly Defect[] = [
  {
    invariant: 5,
    file: 'machine/reset/prepare.ts',
    find: 'if (open !== undefined) {',
    replace: 'if (open !== undefined && device.resetDepth === 0) {',
    why: 'a prepare looks for its window before it has the mutex, and not again',
  },
  {
    invariant: 9,
    file: CHANGES,
    find: CHANGE_LOCK + CHECK,
    replace: CHECK + CHANGE_LOCK,
    why: 'attach asks for a window before it has the mutex',
  },
  {
    invariant: 12,
    file: ATTACH,
    find: `${PUBLISHED}...steps, { kind: 'group-domain', group, domain }] };`,
    replace: `${PUBLISHED}{ kind: 'group-domain', group, domain }, ...steps] };`,
    why: 'detach names the new domain before its members have moved',
  },
  {
    invariant: 13,
    file: DONE,
    find: DONE_LOCK + CHECK,
    replace: CHECK + DONE_LOCK,
    why: 'done restores what was current before it had the mutex',
  },
  {
    invariant: 16,
    file: 'machine/calls/call-runner.ts',
    find: "if (step.kind === 'whole-atc-sent' &&",
    replace: "if (step.kind === 'fence' &&",
    why: 'prepare does not await what was sent between its move of the RID and its Invalidate Request',
  },
  {
    invariant: 16,
    file: LOW_LEVEL,
    find: '      step.device.atcFenced = true;\n',
    replace: '',
    why: 'the fence does not note that its Invalidate Request was the last',
  },
  {
    invariant: 17,
    file: LOW_LEVEL,
    find: '  for (const [pasid, held] of device.pasidPhysical) ports.translation.setContext(device.bdf, pasid, held.space, false);\n  const spaces',
    replace: '  const spaces',
    why: 'the fence leaves ATS to the PASIDs that are moved after it',
  },
  {
    invariant: 17,
    file: 'machine/reset/prepare.ts',
    find: '  LANDED,\n',
    replace: '  { ...LANDED, run: () => true },\n',
    why: 'prepare does not await what a PASID translated before it was moved',
  },
  {
    invariant: 18,
    file: LOW_LEVEL,
    find: LEAVING,
    replace: `    if (pasid !== NO_PASID) ${LEAVING.trim()}`,
    why: 'nobody knows of a function that is leaving a domain until its ATC is asked',
  },
  {
    invariant: 18,
    file: LOW_LEVEL,
    find: LEAVING,
    replace: `    if (pasid === NO_PASID) ${LEAVING.trim()}`,
    why: 'nobody knows of a PASID that is leaving a domain until the ATC is asked',
  },
  {
    invariant: 18,
    file: LOW_LEVEL,
    find: 'if (ats) device.leaving',
    replace: 'if (ats && device.blocked) device.leaving',
    why: 'nobody knows of a function that is being fenced until its ATC is asked',
  },
  {
    invariant: 18,
    file: INVALIDATION,
    find: '  yield* device.leaving;\n',
    replace: '',
    why: 'an unmap asks only those whose contexts point at its domain',
  },
  {
    invariant: 18,
    file: LOW_LEVEL,
    find: '  device.atcFenced = false;\n  setRid',
    replace: '  setRid',
    why: 'an unmap does not ask a function that done has moved back, until it is no longer called blocked',
  },
  {
    invariant: 18,
    file: INVALIDATION,
    find: "atsEnabled || (window.at === 'fencing' && atsSupported && atsWanted)",
    replace: "atsEnabled || (window.at === 'aborting' && atsSupported && atsWanted)",
    why: 'a prepare that has cleared ATS Enable counts as one whose writes have all arrived',
  },
  {
    invariant: 42,
    file: ATTACH,
    find: 'if (looksAgain && !attachDeferred)',
    replace: 'if (looksAgain && !attachDeferred && group.domain === undefined)',
    why: 'a deferred attach believes what it saw before it had the mutex',
  },
];
