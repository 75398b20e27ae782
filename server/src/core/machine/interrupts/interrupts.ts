/**
 * Interrupts of functions: by MSI-X, by MSI, or by INTx, as configuration space says (PCIe Base r6.0 §6.1). A message is a posted write of the function
 * and goes the way of its other DMA; INTx is a message to the root that no Bus Master Enable gates.
 */
import type { MsiRegisters, MsixVectors } from '../../pci/index.ts';
import { closedGate } from '../dma/gate.ts';
import type { Parts } from '../parts.ts';
import type { FunctionState } from '../state.ts';
import { driveIntx, setInterruptCause } from './intx.ts';
import { sendMessage } from './messages.ts';

/** What became of an interrupt that was raised. `pending`: it is masked, or Interrupt Disable is set. `dropped`: the function could not send it. `idle`: it has no cause for INTx any more. */
export const RAISED = ['sent', 'pending', 'asserted', 'dropped', 'idle'] as const;
export type Raised = (typeof RAISED)[number];

/** Interrupt `vector` of the function has happened. */
export function raiseInterrupt(m: Parts, fn: FunctionState, vector: number): Raised {
  const { msi, msix } = fn.config;
  if (msix?.enabled === true) return raiseMsix(m, fn, vector);
  if (msi?.enabled === true) return raiseMsi(m, fn, msi, vector % msi.granted);
  setInterruptCause(m, fn, true);
  return fn.interrupts.asserted ? 'asserted' : fn.interrupts.cause ? 'pending' : 'dropped';
}

/** Registers that say which interrupts may be sent have changed, or the way has opened: what waited for that goes on. */
export function interruptsChanged(m: Parts, fn: FunctionState): void {
  driveIntx(m, fn);
  const { msi, msix } = fn.config;
  const { vectors } = fn.interrupts;
  if (msix?.enabled === true) {
    if (!msix.masked && vectors !== undefined) sendPendingMsix(m, fn, vectors);
  } else if (msi?.enabled === true) {
    sendPendingMsi(m, fn, msi);
  }
}

function raiseMsix(m: Parts, fn: FunctionState, vector: number): Raised {
  const { vectors } = fn.interrupts;
  if (vectors === undefined || vector >= vectors.count) return dropped(m, fn, vector);
  if (fn.config.msix?.masked === true || vectors.isMasked(vector)) {
    vectors.setPending(vector, true);
    m.trace.emit('interrupt-pending', fn.bdf, vector);
    return 'pending';
  }
  if (closedGate(fn) !== undefined) return dropped(m, fn, vector);
  sendVector(m, fn, vectors, vector);
  return 'sent';
}

/** `vector`: one of those that software has granted. */
function raiseMsi(m: Parts, fn: FunctionState, msi: MsiRegisters, vector: number): Raised {
  if (((msi.mask >>> vector) & 1) === 1) {
    msi.setPending(msi.pending | (1 << vector));
    m.trace.emit('interrupt-pending', fn.bdf, vector);
    return 'pending';
  }
  if (closedGate(fn) !== undefined) return dropped(m, fn, vector);
  sendMsi(m, fn, msi, vector);
  return 'sent';
}

function dropped(m: Parts, fn: FunctionState, vector: number): Raised {
  m.trace.emit('interrupt-dropped', fn.bdf, vector);
  return 'dropped';
}

/** A closed way leaves them pending: each is sent once, when it opens. */
function sendPendingMsix(m: Parts, fn: FunctionState, vectors: MsixVectors): void {
  for (const vector of vectors.pendingVectors()) {
    if (vectors.isMasked(vector)) continue;
    if (closedGate(fn) !== undefined) return;
    vectors.setPending(vector, false);
    sendVector(m, fn, vectors, vector);
  }
}

function sendPendingMsi(m: Parts, fn: FunctionState, msi: MsiRegisters): void {
  const ready = msi.pending & ~msi.mask;
  if (ready === 0 || closedGate(fn) !== undefined) return;
  msi.setPending(msi.pending & ~ready);
  for (let vector = 0; vector < msi.vectors; vector++) if (((ready >>> vector) & 1) === 1) sendMsi(m, fn, msi, vector % msi.granted);
}

function sendVector(m: Parts, fn: FunctionState, vectors: MsixVectors, vector: number): void {
  sendMessage(m, fn, {
    vector,
    addressLow: vectors.addressLow(vector),
    addressHigh: vectors.addressHigh(vector),
    data: vectors.data(vector),
  });
}

/** Message Data with as many low bits replaced as vectors were granted (§7.7.1.2). */
function sendMsi(m: Parts, fn: FunctionState, msi: MsiRegisters, vector: number): void {
  const { addressLow, addressHigh, data, granted } = msi;
  sendMessage(m, fn, { vector, addressLow, addressHigh, data: ((data & ~(granted - 1)) | vector) >>> 0 });
}
