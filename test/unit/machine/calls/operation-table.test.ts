import { expect, it } from 'vitest';
import { OperationTable } from '../../../../server/src/core/machine/calls/operation-table.ts';
import type { AdvanceTask, PeerAccessTask } from '../../../../server/src/core/machine/state.ts';

const ORIGIN = { peer: 0, token: 1, sinceNs: 0 };
const ACCESS = {
  kind: 'peer-access',
  reply: 'ok',
  index: -1,
  bytes: 4,
  owner: 1,
  region: -1,
  offset: 0,
  parts: 1,
  data: undefined,
} as const;

it('knows the clock advances that wait, in their order, among whatever else is in flight', () => {
  const table = new OperationTable();
  const advance = (targetNs: number) => table.start<AdvanceTask>(ORIGIN, { kind: 'advance', targetNs, force: false });
  const first = advance(2);
  const other = table.start<PeerAccessTask>(ORIGIN, { ...ACCESS });
  const second = advance(1);
  expect([...table.advances]).toEqual([first, second]);
  table.end(first);
  table.end(other);
  expect([...table.advances]).toEqual([second]);
  table.end(second);
  expect(table.advances.size).toBe(0);
});
