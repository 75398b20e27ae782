/** Every state with every input, restated as a table. */
import { describe, expect, it } from 'vitest';
import { step, type WindowInput, type WindowState } from '../../../server/src/core/iommu/reset-window.ts';

const RESTS = ['open', 'quarantined'] as const;
const STATES: readonly WindowState[] = [
  { at: 'open' },
  { at: 'quarantined' },
  { at: 'blocked' },
  ...RESTS.flatMap((from): WindowState[] => [
    { at: 'draining', onDeadline: 'abort', from },
    { at: 'draining', onDeadline: 'fail', from },
    { at: 'aborting', from },
    { at: 'fencing', from },
  ]),
];
const INPUTS: Readonly<Record<string, WindowInput>> = {
  prepare: { kind: 'prepare', drain: true, onDeadline: 'abort' },
  'prepare without drain': { kind: 'prepare', drain: false, onDeadline: 'abort' },
  'ledger-empty': { kind: 'ledger-empty' },
  deadline: { kind: 'deadline' },
  'fence-failed': { kind: 'fence-failed' },
  settled: { kind: 'invalidations-settled' },
  done: { kind: 'done', restored: true },
  'done, not restored': { kind: 'done', restored: false },
};

/** What changes; every other pair changes nothing. `rest` is where the prepare began. */
const MOVES: readonly (readonly [string, string, string, string])[] = RESTS.flatMap((rest) => [
  [rest, 'prepare', `draining abort from ${rest}`, 'drain'] as const,
  [rest, 'prepare without drain', `fencing from ${rest}`, 'fence'] as const,
  [`draining abort from ${rest}`, 'ledger-empty', `fencing from ${rest}`, 'fence'] as const,
  [`draining fail from ${rest}`, 'ledger-empty', `fencing from ${rest}`, 'fence'] as const,
  [`draining abort from ${rest}`, 'deadline', `aborting from ${rest}`, 'abort'] as const,
  [`draining fail from ${rest}`, 'deadline', rest, 'give-up'] as const,
  [`aborting from ${rest}`, 'ledger-empty', `fencing from ${rest}`, 'fence'] as const,
  [`fencing from ${rest}`, 'settled', 'blocked', 'commit'] as const,
  [`fencing from ${rest}`, 'fence-failed', rest, 'undo'] as const,
  ['blocked', 'done', 'open', 'reopen'] as const,
  ['blocked', 'done, not restored', 'quarantined', 'quarantine'] as const,
]);

function name(state: WindowState): string {
  const from = 'from' in state ? ` from ${state.from}` : '';
  return state.at === 'draining' ? `draining ${state.onDeadline}${from}` : `${state.at}${from}`;
}

describe('reset window', () => {
  for (const state of STATES) {
    for (const [label, input] of Object.entries(INPUTS)) {
      const move = MOVES.find(([from, by]) => from === name(state) && by === label);
      const [, , to, effect] = move ?? ['', '', name(state), 'none'];
      it(`${name(state)}, ${label}: ${to}, ${effect}`, () => {
        const [next, done] = step(state, input);
        expect([name(next), done]).toEqual([to, effect]);
      });
    }
  }
});
