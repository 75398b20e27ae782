/** Invariant 40: a function that is reported broken. */
import type { Defect } from '../defect.ts';

const BROKEN = 'machine/errors/broken.ts';
const REPORT = 'iommu/report-broken.ts';

export const reportBrokenDefects: readonly Defect[] = [
  {
    invariant: 40,
    file: REPORT,
    find: 'ats: false }',
    replace: 'ats: device.atsEnabled }',
    why: 'the broken function is asked to invalidate its ATC',
  },
  {
    invariant: 40,
    file: REPORT,
    find: '  device.quarantined = true;',
    replace: '  device.quarantined = true;\n  device.group.recoveryCount++;',
    why: 'a report counts as a window, which nobody closes',
  },
  {
    invariant: 40,
    file: REPORT,
    find: 'if (device.pasidsMax > 0) steps.push(',
    replace: 'if (device.pasidsMax < 0) steps.push(',
    why: 'PASIDs of the broken function keep their domains',
  },
  {
    invariant: 40,
    file: BROKEN,
    find: '  fn.needsReset = true;',
    replace: '  fn.needsReset = !device.blocked;',
    why: 'a report in a window is forgotten when the window closes',
  },
  {
    invariant: 40,
    file: BROKEN,
    find: '    abortLedger(m, fn);',
    replace: '    if (!fn.gateOpen && fn.resetting) abortLedger(m, fn);',
    why: 'what the broken function had in flight lands',
  },
  {
    invariant: 40,
    file: BROKEN,
    find: '  if (!m.strict || m.iommu === undefined) {',
    replace: '  if (m.iommu === undefined) {',
    why: 'behaviours that show Linux have a quarantine that Linux has not',
  },
];
