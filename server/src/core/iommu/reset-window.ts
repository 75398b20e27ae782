/**
 * The reset window of one function as a pure state machine: `step(state, input)` says what comes next and what is to be done.
 * Drain is ours; fence is pci_dev_reset_iommu_prepare(), unblock is pci_dev_reset_iommu_done() (`drivers/iommu/iommu.c`).
 */
/** Where a prepare that fails goes back to. */
type Rest = 'open' | 'quarantined';

export type WindowState =
  | { readonly at: 'open' }
  /** The gate is closed and what is in flight ends by itself, until the caller's deadline. */
  | { readonly at: 'draining'; readonly onDeadline: 'abort' | 'fail'; readonly from: Rest }
  /** Requests were dropped; memory owners that had been sent a write are asked for a fence. */
  | { readonly at: 'aborting'; readonly from: Rest }
  /** The context blocks; every invalidation sent so far is awaited. */
  | { readonly at: 'fencing'; readonly from: Rest }
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
  /** Report ETIMEDOUT; the gate is as before. */
  | 'give-up'
  /** Move the function to the blocking domain. */
  | 'fence'
  /** Report the fence's error; the gate is as before. */
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
      return input.drain
        ? [{ at: 'draining', onDeadline: input.onDeadline, from: state.at }, 'drain']
        : [{ at: 'fencing', from: state.at }, 'fence'];
    case 'draining':
      if (input.kind === 'ledger-empty') return [{ at: 'fencing', from: state.from }, 'fence'];
      if (input.kind !== 'deadline') return [state, 'none'];
      return state.onDeadline === 'abort' ? [{ at: 'aborting', from: state.from }, 'abort'] : [{ at: state.from }, 'give-up'];
    case 'aborting':
      return input.kind === 'ledger-empty' ? [{ at: 'fencing', from: state.from }, 'fence'] : [state, 'none'];
    case 'fencing':
      if (input.kind === 'fence-failed') return [{ at: state.from }, 'undo'];
      return input.kind === 'invalidations-settled' ? [{ at: 'blocked' }, 'commit'] : [state, 'none'];
    case 'blocked':
      if (input.kind !== 'done') return [state, 'none'];
      return input.restored ? [{ at: 'open' }, 'reopen'] : [{ at: 'quarantined' }, 'quarantine'];
  }
}
