/** What a prepare that cannot be says, and leaves as it was. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SECOND, SIBLINGS } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;

/** So many writes of the function stand before they are translated. */
function withWrites(count: number): CoreMachine {
  const m = new CoreMachine({ clock: 'manual' });
  m.map(PROBE, IOVA, m.allocPage());
  for (let i = 0; i < count; i++) m.write(PROBE, IOVA, 'x', { hold: 'issued' });
  return m;
}

describe('reset-prepare', () => {
  it('1024 windows nest; the next is EAGAIN, and all close', () => {
    const m = new CoreMachine();
    for (let i = 0; i < 1024; i++) m.prepare(PROBE, `w${i}`);
    expect(m.startPrepare(PROBE, 'one more').reply).toMatchObject({
      code: 'EAGAIN',
      message: '00:02.0 has 1024 open windows; close some first',
      about: 'token',
    });
    expect(m.info(PROBE).resetDepth).toBe(1024);
    expect(m.start({ kind: 'reset-done', bdf: PROBE, token: '', all: true }).reply).toMatchObject({ kind: 'reset-done', depth: 0 });
  });

  it.each([
    [1, '1 request of 00:02.0 still in flight'],
    [3, '3 requests of 00:02.0 still in flight'],
  ])('that may not abort is ETIMEDOUT with %i of them: the gate opens again, and they go on', (count, which) => {
    const m = withWrites(count);
    const prepare = m.startPrepare(PROBE, 'w', { onDeadline: 'fail' });
    expect(m.info(PROBE).gate).toBe('closed');
    m.advance(10);
    expect(prepare.reply).toMatchObject({
      code: 'ETIMEDOUT',
      message: `${which} when the drain's deadline of 10000000 ns passed; nothing was changed`,
      about: '00:02.0',
    });
    expect(m.info(PROBE)).toMatchObject({ gate: 'open', blocked: false, resetDepth: 0, inFlight: count });
    expect(m.group(PROBE)).toMatchObject({ busy: false, recoveryCount: 0 });
  });

  it('of which the last request ends just in time is answered, though it may not abort', () => {
    const m = withWrites(2);
    const prepare = m.startPrepare(PROBE, 'w', { onDeadline: 'fail' });
    m.advance(9);
    m.release(PROBE);
    expect(prepare.reply).toMatchObject({ kind: 'reset-prepare', depth: 1, skipped: false, drained: 2, aborted: 0, indeterminate: 0 });
    m.advance(10);
    expect(m.info(PROBE)).toMatchObject({ gate: 'closed', blocked: true, resetDepth: 1 });
  });

  it('whose move the hardware refuses is EIO: the gate opens again', () => {
    const m = new CoreMachine({ clock: 'manual' });
    m.arm(PROBE, 'attach-fails');
    expect(m.startPrepare(PROBE).reply).toMatchObject({
      code: 'EIO',
      message: '00:02.0 could not be moved to its blocking domain; nothing was changed',
      about: '00:02.0',
    });
    expect(m.info(PROBE)).toMatchObject({ gate: 'open', blocked: false, resetDepth: 0 });
    expect(m.group(PROBE)).toMatchObject({ busy: false, recoveryCount: 0 });
  });

  it('of a group that has a window in 7.0 is EBUSY, with a warning', () => {
    const m = new CoreMachine({ functions: SIBLINGS, behaviour: 'linux-7.0' });
    m.prepare(FIRST);
    const message = 'prepare: 00:05.1 is in a group with an open window, and this Linux has no second one';
    expect(m.startPrepare(SECOND).reply).toMatchObject({ code: 'EBUSY', message, about: 'function' });
    expect(m.logs()).toEqual([message]);
  });

  it('of a function whose PASID the hardware does not let go warns, and is answered', () => {
    const m = new CoreMachine({ functions: SIBLINGS, behaviour: 'linux-7.1' });
    for (const pasid of [5, 6]) m.call('ok', m.attachPasid(FIRST, pasid, m.allocDomain()));
    m.arm(FIRST, 'attach-fails', { first: 2 });
    expect(m.startPrepare(FIRST).reply).toMatchObject({ kind: 'reset-prepare', depth: 1 });
    expect(m.logs()).toEqual([expect.stringContaining('prepare: PASID 5 could not be moved to blocking')]);
    const { blockingDomain } = m.machine.inspect().functions[0]!.group;
    expect(m.info(FIRST).pasids.map(({ physicalDomain }) => physicalDomain?.id === blockingDomain.id)).toEqual([false, true]);
  });

  it('again with the token of its window gets the same answer, and opens none', () => {
    const m = new CoreMachine();
    const first = m.prepare(PROBE);
    expect(m.prepare(PROBE)).toEqual(first);
    expect(m.info(PROBE).resetDepth).toBe(1);
    expect(m.prepare(PROBE, 'other')).toMatchObject({ skipped: false, depth: 2, drained: 0, completed: 0 });
  });
});
