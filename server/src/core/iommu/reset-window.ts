/**
 * The reset window of one function as a pure state machine: `step(state, input)` says what comes next and what is to be done.
 * Drain is ours; fence is pci_dev_reset_iommu_prepare(), unblock is pci_dev_reset_iommu_done() (`drivers/iommu/iommu.c`).
 */
export type WindowState =
  | { readonly at: 'open' }
  /** The gate is closed and what is in flight ends by itself, until the caller's deadline. */
  | { readonly at: 'draining'; readonly onDeadline: 'abort' | 'fail' }
  /** Requests were dropped; memory owners that had been sent a write are asked for a fence. */
  | { readonly at: 'aborting' }
  /** The context blocks; every invalidation sent so far is awaited. */
  | { readonly at: 'fencing' }
  | { readonly at: 'blocked' }
  /** A failed reset or restore: blocked with no window, until a successful reset. */
  | { readonly at: 'quarantined' };

export type WindowInput =
  | { readonly kind: 'prepare'; readonly drain: boolean; readonly onDeadline: 'abort' | 'fail' }
  | { readonly kind: 'ledger-empty' }
  | { readonly kind: 'deadline' }
  /** The context could not be changed. */
  | { readonly kind: 'fence-failed' }
  | { readonly kind: 'invalidations-settled' }
  /** The last window closed; `restored` says whether translation is back. */
  | { readonly kind: 'done'; readonly restored: boolean };

export type WindowEffect =
  | 'none'
  /** Close the gate, answer what can be answered, and watch the ledger. */
  | 'drain'
  | 'abort'
  /** Reopen the gate and report ETIMEDOUT. */
  | 'give-up'
  /** Move the function to the blocking domain. */
  | 'fence'
  /** Reopen the gate and report the fence's error. */
  | 'undo'
  /** Set `blocked`, move the PASIDs, count, and answer. */
  | 'commit'
  | 'reopen'
  | 'quarantine';

export function step(state: WindowState, input: WindowInput): readonly [WindowState, WindowEffect] {
  switch (state.at) {
    case 'open':
    case 'quarantined':
      if (input.kind !== 'prepare') return [state, 'none'];
      return input.drain ? [{ at: 'draining', onDeadline: input.onDeadline }, 'drain'] : [{ at: 'fencing' }, 'fence'];
    case 'draining':
      if (input.kind === 'ledger-empty') return [{ at: 'fencing' }, 'fence'];
      if (input.kind !== 'deadline') return [state, 'none'];
      return state.onDeadline === 'abort' ? [{ at: 'aborting' }, 'abort'] : [{ at: 'open' }, 'give-up'];
    case 'aborting':
      return input.kind === 'ledger-empty' ? [{ at: 'fencing' }, 'fence'] : [state, 'none'];
    case 'fencing':
      if (input.kind === 'fence-failed') return [{ at: 'open' }, 'undo'];
      return input.kind === 'invalidations-settled' ? [{ at: 'blocked' }, 'commit'] : [state, 'none'];
    case 'blocked':
      if (input.kind !== 'done') return [state, 'none'];
      return input.restored ? [{ at: 'open' }, 'reopen'] : [{ at: 'quarantined' }, 'quarantine'];
  }
}
