/**
 * The server's own `dma-probe` as a function that lives in this program, by docs/dma-probe.md and nothing else: a function that exists to provoke DMA, with rings
 * of descriptors in guest memory, scatter lists, PASIDs, an ATC of its own, page requests, and MSI-X. `dma-probe-driver.ts` plays it in a machine, and drives it.
 */
import { defineFunction } from 'iommud';
import { Mover, type Move, type Moved } from './dma-probe/mover.ts';
import { Queue, type MoveData } from './dma-probe/queue.ts';
import { RegisterFile } from './dma-probe/register-file.ts';
import { QUEUES, QUEUE_BLOCK, REGISTERS } from './dma-probe/registers.ts';

const BAR = 0;

export class ProbeState {
  readonly registers = new RegisterFile(REGISTERS, () => true);
  readonly mover = new Mover();
  readonly queues = Array.from({ length: QUEUES }, () => new Queue(this.move));

  /** As each descriptor does, and whoever has the probe in hand may. */
  get move(): MoveData {
    return async (fn, move: Move): Promise<Moved> => {
      this.registers.count('started');
      const moved = await this.mover.move(fn, move);
      this.registers.count('ended');
      return moved;
    };
  }

  /** The queue that has its registers there, and the offset in them. */
  queueAt(offset: number): readonly [Queue, number] | undefined {
    const queue = this.queues[Math.floor((offset - QUEUE_BLOCK.first) / QUEUE_BLOCK.each)];
    return queue && [queue, (offset - QUEUE_BLOCK.first) % QUEUE_BLOCK.each];
  }
}

export const dmaProbe = defineFunction<ProbeState>({
  vendor: 0x1234,
  device: 0x11d0,
  bars: [
    { bar: BAR, size: '4KiB' },
    // The server keeps the MSI-X table there.
    { bar: 2, size: '64KiB' },
  ],
  // What it is granted it caches itself: translated requests name physical addresses.
  atc: 'peer',
  state: () => new ProbeState(),

  onRead({ state }, { bar, offset, bytes }) {
    if (bar !== BAR) return (1n << BigInt(8 * bytes)) - 1n;
    const [queue, within] = state.queueAt(offset) ?? [];
    return queue === undefined ? state.registers.read(offset, bytes) : queue.registers.read(within ?? 0, bytes);
  },

  onWrite(fn, { bar, offset, bytes }, value) {
    if (bar !== BAR) return;
    const [queue, within] = fn.state.queueAt(offset) ?? [];
    if (queue === undefined) fn.state.registers.write(offset, bytes, value);
    else queue.write(fn, within ?? 0, bytes, value);
  },

  onInvalidate: (fn, invalidation) => fn.state.mover.invalidate(fn, invalidation),
});
