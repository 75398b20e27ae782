/** One queue of a dma-probe on its own, and memory in which its DMA ends when the test says so. */
import { expect } from 'vitest';
import type { Outcome } from '../../server/src/core/base/index.ts';
import { ProbeQueue } from '../../server/src/core/devices/dma-probe/queue.ts';
import { FakePorts } from './fake-ports.ts';
import { START, descriptor, queueAt, statusOf, type DescriptorFields } from './probe-driver.ts';

const BASE = queueAt(0).command;
/** Its registers, from the first. */
export const AT = Object.fromEntries(Object.entries(queueAt(0)).map(([name, offset]) => [name, offset - BASE])) as ReturnType<
  typeof queueAt
>;
const VALID = 0x8000_0000;
const QUEUES = 4;

/** A queue with a ring of 4 descriptors at 0x1000, and memory in which nothing is mapped but what was put there. */
export class Bench {
  readonly ports = new FakePorts();
  readonly queue = new ProbeQueue(2, this.ports);
  readonly memory = new Uint8Array(0x8000);
  /** By address: how DMA there ends. */
  readonly broken = new Map<number, Outcome>();

  constructor(entries = 4) {
    this.write(AT.ringBase, 0x1000);
    this.write(AT.ringEntries, entries);
    this.write(AT.vector, VALID | 5);
    this.write(AT.command, START);
  }

  write(offset: number, value: number): void {
    this.queue.write(offset, 4, value, 0);
  }
  read(offset: number): number {
    return this.queue.read(offset, 4);
  }
  put(index: number, fields: DescriptorFields): void {
    this.memory.set(descriptor(fields), 0x1000 + 64 * index);
  }
  status(index: number): ReturnType<typeof statusOf> {
    return statusOf(this.memory.subarray(0x1020 + 64 * index, 0x1040 + 64 * index));
  }

  /** Ends one DMA. */
  step(): void {
    const { tag, operation, iovaLow, bytes, data } = this.ports.take();
    expect(tag % QUEUES).toBe(2);
    const outcome = this.broken.get(iovaLow) ?? 'performed';
    const bytesDone = outcome === 'performed' ? bytes : bytes >> 1;
    if (operation === 'write') this.memory.set(data?.subarray(0, bytesDone) ?? [], iovaLow);
    const read = operation === 'read' ? this.memory.slice(iovaLow, iovaLow + bytesDone) : undefined;
    this.queue.dmaEnded(Math.floor(tag / QUEUES), { outcome, bytesDone, data: read });
  }
  run(): void {
    for (let steps = 0; this.ports.started.length > 0; steps++) {
      expect(steps).toBeLessThan(1000);
      this.step();
    }
  }
  /** One descriptor, done. */
  one(fields: DescriptorFields): ReturnType<typeof statusOf> {
    this.put(0, fields);
    this.write(AT.tail, 1);
    this.run();
    return this.status(0);
  }
}
