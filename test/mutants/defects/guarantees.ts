/** Invariants 16 to 21: what the window guarantees, and who waits for it. */
import type { Defect } from '../defect.ts';

const PREPARE = 'machine/reset/prepare.ts';
const DONE = 'machine/reset/done.ts';
const DESCRIBE = 'machine/describe.ts';
const IOMMU = 'iommu/iommu.ts';
const LOW_LEVEL = 'iommu/low-level-attach.ts';

export const guaranteeDefects: readonly Defect[] = [
  {
    invariant: 16,
    file: 'machine/calls/call-runner.ts',
    find: "if (step.kind === 'whole-atc-sent' &&",
    replace: "if (step.kind === 'whole-atc-sent' && !m.strict &&",
    why: 'prepare answers before invalidations that were sent earlier have come back',
  },
  {
    invariant: 16,
    file: 'iommu/domain-invalidation.ts',
    find: 'if (!atcInUse(device) || device.atcFenced) continue;',
    replace: 'if (!atcInUse(device) || device.blocked) continue;',
    why: 'an unmap sends invalidations behind a fence that does not await them',
  },
  {
    invariant: 16,
    file: 'machine/dma/dma-drain.ts',
    find: "    if (request.kind === 'invalidation-completion') continue;\n    if (request.point",
    replace: '    if (request.point',
    why: 'the drain awaits Invalidate Completions and runs into its deadline',
  },
  {
    invariant: 17,
    file: LOW_LEVEL,
    find: "{ kind: 'iotlb', device, spaces },",
    replace: "{ kind: 'iotlb', device, spaces: spaces.slice(1) },",
    why: 'what was translated for the RID is not awaited',
  },
  {
    invariant: 17,
    file: 'translation/translation.ts',
    find: '    const { ats, grants } = this.#contexts[context]!;\n    if (!ats) return',
    replace: '    const { ats, grants } = this.#contexts[context]!;\n    if (!ats && grants.live === 0) return',
    why: 'translated requests pass on a grant, whatever the context says',
  },
  {
    invariant: 18,
    file: IOMMU,
    find: '    invalidateIotlb(this.#ports.translation, domain, iova, bytes);',
    replace:
      '    if (this.groups.every((group) => group.recoveryCount === 0)) invalidateIotlb(this.#ports.translation, domain, iova, bytes);',
    why: 'an unmap in the window leaves its entries in the IOTLB',
  },
  {
    invariant: 18,
    file: 'iommu/domain-invalidation.ts',
    find: '  for (const nested of domain.nested) translation.invalidateSpace(nested.space);\n',
    replace: '',
    machine: 'nested',
    why: 'an unmap in a second stage leaves what was cached through both in the IOTLB',
  },
  {
    invariant: 18,
    file: 'devices/atc.ts',
    find: '  for (const { iovaPage, pagesLg2 } of entries) ranges.delete(iovaPage, pagesLg2);',
    replace: '  for (const { iovaPage, pagesLg2 } of entries) if (iovaPage >= firstPage) ranges.delete(iovaPage, pagesLg2);',
    machine: 'nested',
    why: 'an ATC keeps a large translation of which a page in the middle is invalidated',
  },
  {
    invariant: 18,
    file: 'machine/ats/invalidation.ts',
    find: 'if (timedOut && fn !== undefined) awaitPassed',
    replace: 'if (timedOut && fn?.resetting === true) awaitPassed',
    why: 'an unmap in strict whose invalidation times out does not await what the ATC had let through meanwhile',
  },
  {
    invariant: 18,
    file: 'machine/domains/mappings.ts',
    find: 'const error = tablesOf(domain).map(',
    replace:
      "const error = 'bdf' in command.target && iommuOf(m).device(command.target.bdf)?.blocked === true ? errno('EBUSY') : tablesOf(domain).map(",
    why: 'map is EBUSY in the window',
  },
  {
    invariant: 19,
    file: DESCRIBE,
    find: 'logicalDomain: summary(device?.group.domain)',
    replace: 'logicalDomain: summary(device?.physical)',
    why: 'the logical query says blocking in the window',
  },
  {
    invariant: 19,
    file: DESCRIBE,
    find: 'physicalDomain: summary(device?.physical)',
    replace: 'physicalDomain: summary(device?.group.recoveryCount ? device.group.blockingDomain : device?.physical)',
    why: "the driver's query says blocking for every function of the group",
  },
  {
    invariant: 20,
    file: DONE,
    find: '  device.group.recoveryCount--;',
    replace: '  device.group.recoveryCount = 0;',
    why: 'the first done of the group lets attach in while a sibling is in its window',
  },
  {
    invariant: 20,
    file: DONE,
    find: 'if (restored) setGate(m, fn, true);',
    replace: 'if (restored && device.group.recoveryCount === 0) setGate(m, fn, true);',
    why: 'a function stays gated until the resets of its siblings are over',
  },
  {
    invariant: 21,
    file: PREPARE,
    find: '  unlock(m, task.device.group);',
    replace: '  if (task.fn.resetHolder === 0) unlock(m, task.device.group);',
    why: 'a reset keeps the group mutex from its prepare to its done',
  },
  {
    invariant: 21,
    file: PREPARE,
    find: "  advanceWindow(m, task, { kind: 'prepare',",
    replace: "  if (m.strict) unlock(m, task.device.group);\n  advanceWindow(m, task, { kind: 'prepare',",
    why: 'an attach slips in between the drain and the fence',
  },
];
