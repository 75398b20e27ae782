/** Invariant 47: addresses of the DMA API that were unmapped lazily. */
import type { Defect } from '../defect.ts';

const QUEUE = 'iommu/flush-queue.ts';
const FLUSH = 'machine/dma-flush.ts';

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
];
