/** INTx of a function: its cause, its pin, and the messages Assert_INTx and Deassert_INTx that it sends. */
import { answersConfig, holdsBackLater } from '../dma/gate.ts';
import { enterMessage } from '../dma/ledger-message.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';
import { intxArrived } from './intx-lines.ts';

/** Whether the function has a cause for INTx: Interrupt Status, and the pin where nothing keeps it from that. */
export function setInterruptCause(m: Parts, fn: FunctionState, on: boolean): void {
  fn.interrupts.cause = on && fn.config.interruptPin > 0 && answersConfig(fn);
  fn.config.setInterruptStatus(fn.interrupts.cause);
  driveIntx(m, fn);
}

/** A reset of the function: its table is masked, nothing is pending, and its INTx is not asserted any more. */
export function resetInterrupts(m: Parts, fn: FunctionState): void {
  fn.interrupts.vectors?.reset();
  fn.interrupts.portCauses = 0;
  setInterruptCause(m, fn, false);
}

/** Its pin, as its cause and its registers have it now. */
export function driveIntx(m: Parts, fn: FunctionState): void {
  const { config, interrupts } = fn;
  const messages = config.msi?.enabled === true || config.msix?.enabled === true;
  const asserted = interrupts.cause && !config.interruptDisable && !messages && config.powerState === 0;
  if (asserted === interrupts.asserted) return;
  interrupts.asserted = asserted;
  sendIntx(m, fn, asserted);
}

/** A posted message: it stands behind the writes that the function issued earlier. */
function sendIntx(m: Parts, fn: FunctionState, asserted: boolean): void {
  if (!fn.entries.some(holdsBackLater)) {
    intxArrived(m, fn, asserted);
    return;
  }
  enterMessage(m, fn, 'intx', { itags: asserted ? 1 : 0 });
}
