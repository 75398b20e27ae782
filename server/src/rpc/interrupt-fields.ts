/** What calls and replies of interrupts have in common, and their events. */
import { u64FromBigint, u64FromNumber, type Calls } from '../../../proto/index.ts';
import type { Bdf } from '../core/base/index.ts';
import type { IrqRemapSet, IrqSummary, MachineEvent, ReplyOf } from '../core/machine/index.ts';
import { INTERRUPT_OUTCOME, IRQ_INDEX } from './enums.ts';
import { missing } from './errors.ts';
import { needFunction } from './fields.ts';
import type { Send } from './send.ts';

type Interrupt = Extract<MachineEvent, { kind: 'interrupt' }>;
type Intx = Extract<MachineEvent, { kind: 'intx' }>;

/** Which of the two it is, and that it is one, is the machine's to check. */
export function interruptOf(body: Calls['modelInterrupt']['decoded']): {
  readonly bdf: Bdf;
  readonly vector: number | undefined;
  readonly line: boolean | undefined;
} {
  return { bdf: needFunction(body.function), vector: body.vector ?? undefined, line: body.line ?? undefined };
}

export function remapEntryOf({ vector, destination, source }: Calls['irqRemapSet']['decoded']): IrqRemapSet['entry'] {
  if (vector !== null)
    return { vector, destination: destination ?? 0, source: source === null ? undefined : needFunction(source, 'source') };
  // The others are of an entry that is present.
  if (destination !== null || source !== null) throw missing('vector');
  return undefined;
}

export function irqBody(irq: IrqSummary): Send<'Irq'> {
  const { index, count, granted, enabled, maskable, pending } = irq;
  return { index: IRQ_INDEX.number[index], count, granted, enabled, maskable, pending: [...pending] };
}

/** DeviceInterruptReply is alike. */
export function raisedBody({
  outcome,
  elapsedNs,
}: Extract<ReplyOf<'model-interrupt'>, { kind: 'interrupt' }>): Send<'ModelInterruptReply'> {
  return { outcome: INTERRUPT_OUTCOME.number[outcome], elapsedNs: u64FromNumber(elapsedNs) };
}

export function interruptBody(event: Interrupt): Send<'InterruptEvent'> {
  const { bdf, data, count, timeNs, source = null, remapped = null } = event;
  const address = u64FromBigint(event.address);
  return { function: bdf, address, data, count, timeNs: u64FromNumber(timeNs), sourceVector: source, remapped };
}

export function intxBody({ bdf, pin, asserted, line, sources, timeNs }: Intx): Send<'IntxEvent'> {
  const { device, pin: linePin } = line;
  return { function: bdf, pin, asserted, lineDevice: device, linePin, lineSources: sources, timeNs: u64FromNumber(timeNs) };
}
