/** An owner of memory that answers its fence before the writes that were sent before it. */
import { describe, expect, it } from 'vitest';
import { NO_PASID } from '../../../../server/src/core/base/index.ts';
import { CoreMachine, REMOTE, remote, type Pending, type TestPeer } from '../../../kit/core-machine.ts';

const IOVA = 0x4_0000;
const OWNED = 0x4000_0000n;

interface Cast {
  readonly m: CoreMachine;
  readonly owner: TestPeer;
  readonly prepare: Pending;
  readonly entries: () => readonly unknown[];
}

/** Its owner has been sent these bytes and a fence, in that order, and the function's prepare waits. */
function aborted(bytes: number): Cast {
  const m = new CoreMachine({ functions: [remote(REMOTE)] });
  const e = m.attachPeer({ device: true });
  const owner = m.attachPeer({ memory: true });
  m.start({ kind: 'device-claim', bdf: REMOTE }, e.id);
  m.start({ kind: 'memory-claim', address: OWNED, bytes: 0x1_0000n, depth: 4 }, owner.id);
  m.map(REMOTE, IOVA, OWNED);
  m.start({ kind: 'dma-write', bdf: REMOTE, data: new Uint8Array(bytes), iovaLow: IOVA, iovaHigh: 0, pasid: NO_PASID }, e.id);
  const prepare = m.startPrepare(REMOTE, 'w', { deadlineMs: 0 });
  expect(owner.calls.at(-1)).toMatchObject({ call: { kind: 'memory-fence' } });
  return { m, owner, prepare, entries: () => m.call('ledger', { kind: 'ledger', bdf: REMOTE }).entries };
}

describe('a fence that is answered before a write that was sent before it', () => {
  function early(): Cast {
    const cast = aborted(4);
    cast.m.answer(cast.owner, cast.owner.calls[1]!.token, { kind: 'ok' });
    return cast;
  }

  it('ends no wait: the write itself is awaited, and a log line names who it was', () => {
    const { m, owner, prepare, entries } = early();
    expect(prepare.reply).toBeUndefined();
    expect(entries()).toMatchObject([{ point: 'indeterminate' }]);
    expect(m.logs()).toContainEqual(
      `peer ${owner.id} has answered a fence before 1 of the writes that were sent before it: they are awaited`,
    );
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', indeterminate: 1 });
    expect(entries()).toEqual([]);
  });

  it('is of no account where the owner then goes away, or falls silent', () => {
    const gone = early();
    gone.m.detachPeer(gone.owner);
    expect(gone.prepare.reply).toMatchObject({ kind: 'reset-prepare', indeterminate: 1 });
    expect(gone.entries()).toEqual([]);
    const silent = early();
    silent.m.silence(silent.owner);
    expect(silent.prepare.reply).toMatchObject({ kind: 'reset-prepare', indeterminate: 1 });
    expect(silent.entries()).toMatchObject([{ point: 'indeterminate' }]);
    silent.m.answer(silent.owner, silent.owner.calls[0]!.token, { kind: 'ok' });
    expect(silent.entries()).toEqual([]);
  });

  it('waits for each of several writes', () => {
    const { m, owner, prepare, entries } = aborted(256 * 2);
    m.answer(owner, owner.calls[0]!.token, { kind: 'ok' });
    m.answer(owner, owner.calls[2]!.token, { kind: 'ok' });
    expect(entries()).toHaveLength(1);
    expect(prepare.reply).toBeUndefined();
    m.answer(owner, owner.calls[1]!.token, { kind: 'ok' });
    expect(prepare.reply).toMatchObject({ indeterminate: 2 });
  });
});
