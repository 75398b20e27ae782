/** Invariants 47 and 48: addresses of the DMA API that were unmapped lazily, and arrays of invalidation requests. */
import type { Defect } from '../defect.ts';

const QUEUE = 'iommu/flush-queue.ts';
const ARRAY = 'machine/domains/domain-invalidate.ts';
const FLUSH = 'machine/domains/dma-flush.ts';

export const dmaApiDefects: readonly Defect[] = [
  {
    invariant: 47,
    file: QUEUE,
    find: 'entry.started >= queue.finished',
    replace: 'entry.started > queue.finished',
    why: 'a flush that began before the unmap gives its address back',
  },
  {
    invariant: 47,
    file: FLUSH,
    find: '  enqueue(dma.queue, pageOf(call.iova));\n',
    replace: '  enqueue(dma.queue, pageOf(call.iova));\n  dma.iova.release(pageOf(call.iova));\n',
    why: 'a lazy unmap gives its address back at once',
  },
  {
    invariant: 47,
    file: FLUSH,
    find: '      if (flush.pending > 0) return false;\n',
    replace: '',
    why: 'a flush has finished before the functions have answered',
  },
  {
    invariant: 47,
    file: FLUSH,
    find: '      iommuOf(m).flushIotlb(domain);\n',
    replace: '',
    why: 'a flush leaves the IOTLB as it was',
  },
  {
    invariant: 48,
    file: ARRAY,
    find: 'processed, ...outcome,',
    replace: 'processed: task.requests.length, ...outcome,',
    why: 'an array that breaks off says that all of it was done',
  },
  {
    invariant: 48,
    file: ARRAY,
    find: "    const wrong = request === undefined ? '' : whyNot(request);",
    replace: "    const wrong = requests.map(whyNot).find((why) => why !== '') ?? '';",
    why: 'one request that cannot be keeps those before it from being done',
  },
  {
    invariant: 48,
    file: ARRAY,
    find: '    if (task.pending > 0) return;\n',
    replace: '',
    why: 'a request counts as done before the functions have answered',
  },
  {
    invariant: 48,
    file: ARRAY,
    find: "command.type !== 'vtd-s1' || !format",
    replace: 'command.requests.length > 0 && !format',
    why: 'an array of no requests passes with any type',
  },
];
