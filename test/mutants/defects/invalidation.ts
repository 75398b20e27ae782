/** Invariants 35 to 38: ITags, late completions, timeouts. */
import type { Defect } from '../defect.ts';

const QUEUE = 'translation/invalidation-queue.ts';
const TAGS = 'translation/invalidation-tags.ts';
const SETTLE = 'machine/ats/invalidation.ts';

export const invalidationDefects: readonly Defect[] = [
  {
    invariant: 35,
    file: TAGS,
    find: 'if (inFlight === undefined && debt < leastDebt)',
    replace: 'if ((inFlight === undefined || itag === 0) && debt < leastDebt)',
    why: 'a tag is used again while it is in flight',
  },
  {
    invariant: 35,
    file: TAGS,
    find: 'if (busy >= depth) return -1;',
    replace: 'if (busy > depth) return -1;',
    why: 'one more request than the function has room for',
  },
  {
    invariant: 35,
    file: TAGS,
    find: 'if (busy >= depth) return -1;',
    replace: 'if (busy >= tags.length || depth < 0) return -1;',
    why: "the function's Invalidate Queue Depth is not asked",
  },
  {
    invariant: 36,
    file: QUEUE,
    find: 'if (timedOut && !tag.lost) tag.debt++;',
    replace: 'if (timedOut && tag.lost) tag.debt++;',
    why: 'a tag that timed out is used at once, and its late completion completes the new request',
  },
  {
    invariant: 36,
    file: QUEUE,
    find: 'const invalidation = tag.debt > 0 ? undefined : tag.inFlight;',
    replace: 'const invalidation = tag.inFlight;',
    why: 'a late completion does not pay its debt first',
  },
  {
    invariant: 36,
    file: SETTLE,
    find: '    const first = alignedDown(page, lg2);',
    replace: '    const first = alignedDown(page, 0);',
    why: 'an invalidation overtakes the completion of a large translation only by pages behind the one that was asked for',
  },
  {
    invariant: 36,
    file: SETTLE,
    find: 'firstPage < first + task.completion.length * 2 ** lg2',
    replace: 'firstPage < first + 2 ** lg2',
    why: 'an invalidation overtakes a completion of several translations only by what the first of them has',
  },
  {
    invariant: 37,
    file: SETTLE,
    find: 'if (timedOut) operation.timedOut++;',
    replace: 'if (timedOut) operation.completed++;',
    why: 'a timeout is counted as a completion',
  },
  {
    invariant: 37,
    file: SETTLE,
    find: 'if (m.strict && device !== undefined) m.iommu?.refuseTranslated(device);',
    replace: 'if (!m.strict && device !== undefined) m.iommu?.refuseTranslated(device);',
    why: 'strict trusts the ATC of a function that did not answer',
  },
  {
    invariant: 37,
    file: QUEUE,
    find: "    this.#trace.emit('invalidation-completed', invalidation.bdf, invalidation.itag);\n    this.#settle(invalidation, false);\n    this.#send(",
    replace:
      "    this.#trace.emit('invalidation-completed', invalidation.bdf, invalidation.itag);\n    this.#settle(invalidation, true);\n    this.#send(",
    why: 'Unsupported Request fails an invalidation',
  },
  {
    invariant: 38,
    file: 'machine/ats/completion-arrived.ts',
    find: '  m.invalidations.complete(fn.bdf, itags, completions);',
    replace: '  for (const { bdf } of m.functionList) if (bdf >= fn.bdf) m.invalidations.complete(bdf, itags, completions);',
    why: 'a completion completes the same tags of other functions',
  },
  {
    invariant: 38,
    file: QUEUE,
    find: '    this.#settle(invalidation, true);\n',
    replace: '    for (const other of [...this.#pending.values()]) this.#settle(other, true);\n',
    why: 'the timeout of one function fails what others have in flight',
  },
];
