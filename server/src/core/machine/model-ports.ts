/** The ports of a machine's models, and what comes back through them. */
import { assert } from '../base/index.ts';
import type { Alarm } from '../base/index.ts';
import {
  MODEL_ALARMS,
  type AlarmPort,
  type DmaEnd,
  type DmaPort,
  type DmaRequest,
  type FunctionModel,
  type InterruptPort,
  type ModelName,
  type ModelPorts,
  type createModel,
} from '../devices/index.ts';
import { startModelDma } from './dma/dma-commands.ts';
import { functionNumbered } from './function-state.ts';
import { raiseInterrupt } from './interrupts/interrupts.ts';
import { setInterruptCause } from './interrupts/intx.ts';
import type { Parts } from './parts.ts';
import type { Reply } from './reply.ts';
import type { FunctionState, ModelOrigin } from './state.ts';

/** Models are made before the machine is whole: their ports find it here. */
export class ModelWiring {
  parts: Parts | undefined;
  readonly #models: typeof createModel;
  readonly #made = new WeakMap<object, { readonly name: ModelName; readonly index: number }>();

  constructor(models: typeof createModel) {
    this.#models = models;
  }

  modelOf(name: ModelName, index: number): FunctionModel {
    const model = this.#models(name, new FunctionPorts(this, index));
    this.#made.set(model, { name, index });
    return model;
  }

  /** What a model was made from, for whoever makes another. */
  madeFrom(model: object): { readonly name: ModelName; readonly index: number } | undefined {
    return this.#made.get(model);
  }
}

/** One object for all ports of a function: a process has thousands. */
class FunctionPorts implements ModelPorts, DmaPort, AlarmPort, InterruptPort {
  readonly #wiring: ModelWiring;
  readonly #index: number;

  constructor(wiring: ModelWiring, index: number) {
    this.#wiring = wiring;
    this.#index = index;
  }

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
    const { m, fn } = this.#place();
    const { tag, operation, iovaLow, iovaHigh, bytes, data, pasid, translated, pageRequests } = dma;
    const origin: ModelOrigin = { model: fn.index, tag, life: fn.modelLife, sinceNs: m.clock.nowNs };
    startModelDma(m, origin, fn, {
      kind: 'model-dma',
      bdf: fn.bdf,
      operation,
      iovaLow,
      iovaHigh,
      bytes,
      data,
      pasid,
      translated,
      hold: undefined,
      holdNs: 0,
      onFault: pageRequests ? 'page-request' : undefined,
    });
  }

  get nowNs(): number {
    return this.#place().m.clock.nowNs;
  }

  set(id: number, delayNs: number): void {
    assert(Number.isInteger(id) && id >= 0 && id < MODEL_ALARMS, `alarm ${id} of a model`);
    const { m, fn } = this.#place();
    this.cancel(id);
    fn.modelAlarms[id] = m.clock.set(delayNs, 'model', fn.index * MODEL_ALARMS + id);
  }

  cancel(id: number): void {
    const { m, fn } = this.#place();
    m.clock.cancel(fn.modelAlarms[id] ?? 0);
    fn.modelAlarms[id] = 0;
  }

  raise(vector: number): void {
    const { m, fn } = this.#place();
    raiseInterrupt(m, fn, vector);
  }

  line(asserted: boolean): void {
    const { m, fn } = this.#place();
    setInterruptCause(m, fn, asserted);
  }

  #place(): { readonly m: Parts; readonly fn: FunctionState } {
    const m = this.#wiring.parts;
    const fn = m === undefined ? undefined : functionNumbered(m, this.#index);
    assert(m !== undefined && fn !== undefined, 'a model uses its ports when the machine has called it');
    return { m, fn };
  }
}

/** In the machine's loop, so that a model which starts the next DMA then is not within the start of the last. */
export function modelDmaEnded(m: Parts, { model, tag, life }: ModelOrigin, reply: Reply): void {
  const fn = functionNumbered(m, model);
  if (fn?.modelLife === life) fn.model.dmaEnded(tag, endOf(reply));
}

/** One that the machine refused, for its ledger is full, was never issued. */
function endOf(reply: Reply): DmaEnd {
  if (reply.kind !== 'dma') return { outcome: 'aborted', bytesDone: 0, data: undefined };
  const { outcome, bytesDone, data } = reply;
  return { outcome, bytesDone, data };
}

export function modelAlarmRang(m: Parts, { id: alarm }: Alarm): void {
  const id = alarm % MODEL_ALARMS;
  const fn = functionNumbered(m, Math.floor(alarm / MODEL_ALARMS));
  if (fn === undefined) return;
  fn.modelAlarms[id] = 0;
  const peer = m.peers.get(fn.claimedBy);
  if (peer === undefined) fn.model.alarmRang(id);
  else m.peers.call(peer, { kind: 'device-alarm', bdf: fn.bdf, alarm: id, nowNs: m.clock.nowNs }, { kind: 'device-alarm' });
}
