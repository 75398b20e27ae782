import { expect, it } from 'vitest';
import { MEANINGS } from '../../../server/src/rpc/session-state.ts';

it('every frame means one thing in every state', () => {
  const rows = Object.entries(MEANINGS).map(([state, row]) => `${state}: ${Object.values(row).join(' ')}`);
  expect(Object.keys(MEANINGS.open)).toEqual(['hello', 'call', 'reply', 'event', 'cancel']);
  expect(rows).toEqual([
    'awaiting-hello: greet break break break break',
    'open: break serve settle ignore ignore',
    'draining: break refuse settle ignore ignore',
    'closed: ignore ignore ignore ignore ignore',
  ]);
});
