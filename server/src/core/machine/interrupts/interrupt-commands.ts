/** Interrupts on command, what a function has of them, and the table that remaps them. */
import { ModelError, formatBdf } from '../../base/index.ts';
import { REMAP_ENTRIES } from '../../translation/index.ts';
import type { DeviceInterrupt, IrqRemapSet, ModelInterrupt } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { IrqSummary } from '../reply.ts';
import type { FunctionState, Origin } from '../state.ts';
import { raiseInterrupt, type Raised } from './interrupts.ts';
import { setInterruptCause } from './intx.ts';

const CPU_VECTORS = 256;

export function modelInterrupt(m: Parts, origin: Origin, fn: FunctionState, command: ModelInterrupt): void {
  if (!fn.model.initiatesDma) {
    throw new ModelError('EOPNOTSUPP', `${formatBdf(fn.bdf)} is a ${fn.model.name}; only a dma-probe interrupts on command`, 'function');
  }
  interrupt(m, origin, fn, command);
}

/** By the peer that plays it. */
export function deviceInterrupt(m: Parts, origin: Origin, fn: FunctionState, command: DeviceInterrupt): void {
  interrupt(m, origin, fn, command);
}

function interrupt(m: Parts, origin: Origin, fn: FunctionState, { vector, line }: ModelInterrupt | DeviceInterrupt): void {
  if ((vector === undefined) === (line === undefined)) {
    throw new ModelError('EINVAL', 'an interrupt is a vector, or the line going up or down: one of the two', 'vector');
  }
  if (vector !== undefined) checkVector(fn, vector);
  const outcome = vector === undefined ? lineOutcome(m, fn, line === true) : raiseInterrupt(m, fn, vector);
  m.outbox.reply(origin, { kind: 'interrupt', outcome, elapsedNs: m.outbox.elapsed(origin) });
}

function checkVector(fn: FunctionState, vector: number): void {
  const most = Math.max(0, ...irqSummaries(fn).map(({ count }) => count));
  if (Number.isInteger(vector) && vector >= 0 && vector < most) return;
  const has = most === 0 ? 'has no interrupts' : `has vectors 0 to ${most - 1}`;
  throw new ModelError('EINVAL', `${formatBdf(fn.bdf)} ${has}, and no ${vector}`, 'vector');
}

function lineOutcome(m: Parts, fn: FunctionState, on: boolean): Raised {
  setInterruptCause(m, fn, on);
  const { asserted, cause } = fn.interrupts;
  if (asserted) return 'asserted';
  return cause ? 'pending' : on ? 'dropped' : 'idle';
}

/** Those that it has, by index. */
export function irqSummaries({ config, interrupts }: FunctionState): readonly IrqSummary[] {
  const { msi, msix, interruptPin } = config;
  const irqs: IrqSummary[] = [];
  if (interruptPin > 0) {
    const enabled = !config.interruptDisable && msi?.enabled !== true && msix?.enabled !== true;
    irqs.push({ index: 'intx', count: 1, granted: 1, enabled, maskable: true, pending: interrupts.cause ? [0] : [] });
  }
  if (msi !== undefined) {
    const { vectors: count, granted, enabled, maskable, pending: bits } = msi;
    const pending = Array.from({ length: count }, (_, vector) => vector).filter((vector) => ((bits >>> vector) & 1) === 1);
    irqs.push({ index: 'msi', count, granted, enabled, maskable, pending });
  }
  if (msix !== undefined) {
    const { vectors: count, enabled } = msix;
    irqs.push({ index: 'msix', count, granted: count, enabled, maskable: true, pending: interrupts.vectors?.pendingVectors() ?? [] });
  }
  return irqs;
}

export function irqRemapSet(m: Parts, origin: Origin, { index, entry }: IrqRemapSet): void {
  if (m.remapping === undefined) {
    throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" does not remap interrupts (iommu.interruptRemapping)`);
  }
  if (!Number.isInteger(index) || index < 0 || index >= REMAP_ENTRIES) {
    throw new ModelError('EINVAL', `there is no entry ${index}; they are 0 to ${REMAP_ENTRIES - 1}`, 'index');
  }
  if (entry !== undefined && !(entry.vector >= 0 && entry.vector < CPU_VECTORS)) {
    throw new ModelError('EINVAL', `a processor has vectors 0 to ${CPU_VECTORS - 1}, and no ${entry.vector}`, 'vector');
  }
  if (entry?.source !== undefined && !m.functions.has(entry.source)) {
    throw new ModelError('ENODEV', `no function at ${formatBdf(entry.source)} in machine "${m.spec.name}"`, 'source');
  }
  m.remapping.set(index, entry);
  m.outbox.ok(origin);
}
