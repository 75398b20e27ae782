/** Where messages of interrupts end: the interrupt pages of an x86 machine, with or without remapping, or a doorbell that is reached like memory. */
import { INTERRUPT_PAGES, NO_PASID, join64 } from '../../base/index.ts';
import { STATUS } from '../../translation/index.ts';
import type { Parts } from '../parts.ts';
import { INJECTED, type DmaTask, type Request } from '../state.ts';

const MESSAGE_BYTES = 4;

/** Whether untranslated requests of it to INTERRUPT_PAGES are interrupts, whatever page tables say. */
export function takesInterrupts({ doorbellPage }: Parts, { operation, pasid }: DmaTask): boolean {
  return doorbellPage < 0 && operation === 'write' && pasid === NO_PASID;
}

/** `low`, `high`: a page number in halves. */
export function isInterruptPage(low: number, high: number): boolean {
  return high === 0 && low >= INTERRUPT_PAGES.first && low < INTERRUPT_PAGES.first + INTERRUPT_PAGES.count;
}

/** Takes the message of a request that came so far; a status. */
export function takeMessage(m: Parts, { fn, task, iovaLow, iovaHigh, bytes, dataOffset }: Request): number {
  if (task === undefined) return STATUS.performed;
  if ((task.injected & INJECTED.poisoned) !== 0) return STATUS.poisoned;
  const view = new DataView(task.data.buffer, task.data.byteOffset + dataOffset, bytes);
  const data = bytes >= MESSAGE_BYTES ? view.getUint32(0, true) : view.getUint8(0);
  const { remapping } = m;
  if (remapping !== undefined) {
    const whole = bytes === MESSAGE_BYTES && (iovaLow & (MESSAGE_BYTES - 1)) === 0;
    const status = whole ? remapping.remap(fn.bdf, iovaLow, data) : STATUS['interrupt-reserved'];
    if (status !== STATUS.performed) return status;
  }
  m.trace.emit('interrupt', fn.bdf, data & 0xff, data);
  m.outbox.event({
    kind: 'interrupt',
    bdf: fn.bdf,
    address: join64(iovaLow, iovaHigh),
    data,
    count: 1,
    timeNs: m.clock.nowNs,
    ...(task.vector < 0 ? {} : { source: task.vector }),
    ...(remapping?.entry === undefined
      ? {}
      : { remapped: { index: remapping.index, vector: remapping.entry.vector, destination: remapping.entry.destination } }),
  });
  return STATUS.performed;
}
