/** A machine's side of a model's ports, in a test's hands: what the model asks is noted, and what comes back the test says. */
import type { AlarmPort, DmaPort, DmaRequest, InterruptPort, ModelPorts } from '../../server/src/core/devices/index.ts';

export class FakePorts implements ModelPorts, DmaPort, AlarmPort, InterruptPort {
  /** DMA that the model has started, and the test has not taken. */
  readonly started: DmaRequest[] = [];
  /** When each alarm that is set rings, by its id. */
  readonly alarmsSet = new Map<number, number>();
  readonly raised: number[] = [];
  asserted = false;
  nowNs = 0;

  get dma(): DmaPort {
    return this;
  }
  get alarms(): AlarmPort {
    return this;
  }
  get interrupts(): InterruptPort {
    return this;
  }

  start(dma: DmaRequest): void {
    this.started.push(dma);
  }
  set(id: number, delayNs: number): void {
    this.alarmsSet.set(id, this.nowNs + delayNs);
  }
  cancel(id: number): void {
    this.alarmsSet.delete(id);
  }
  raise(vector: number): void {
    this.raised.push(vector);
  }
  line(asserted: boolean): void {
    this.asserted = asserted;
  }

  /** The oldest DMA that was started. */
  take(): DmaRequest {
    const dma = this.started.shift();
    if (dma === undefined) throw new Error('the model has started no DMA');
    return dma;
  }

  /** Time passes; the alarms that ring then, in their order. */
  advance(ns: number): number[] {
    this.nowNs += ns;
    const due = [...this.alarmsSet].filter(([, at]) => at <= this.nowNs).sort((a, b) => a[1] - b[1]);
    for (const [id] of due) this.alarmsSet.delete(id);
    return due.map(([id]) => id);
  }
}
