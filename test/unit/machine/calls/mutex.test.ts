/** What waits for a group or a function has an end, and behind it is EAGAIN with nothing changed. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE } from '../../../kit/core-machine.ts';

const IOVA = 0x1_0000;

/** A prepare holds the group's mutex until the write is let go. */
function held(): CoreMachine {
  const m = new CoreMachine({ clock: 'manual' });
  m.map(PROBE, IOVA, m.allocPage());
  m.write(PROBE, IOVA, 'x', { hold: 'translated' });
  m.startPrepare(PROBE, 'w', { deadlineMs: 1000 });
  return m;
}

describe('a queue', () => {
  it('1024 commands wait for a group; the next is EAGAIN, and those that wait are answered in their turn', () => {
    const m = held();
    const waiting = Array.from({ length: 1024 }, () => m.start({ kind: 'domain-detach', bdf: PROBE }));
    expect(waiting.every((one) => one.reply === undefined)).toBe(true);
    expect(m.start({ kind: 'domain-detach', bdf: PROBE }).reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
    expect(m.startPrepare(PROBE, 'other').reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
    m.release(PROBE);
    expect(waiting.every((one) => one.reply?.kind === 'ok')).toBe(true);
    m.done(PROBE);
    expect(m.info(PROBE).blocked).toBe(false);
  });

  it('1024 resets wait for a function; the next is EAGAIN', () => {
    const m = new CoreMachine({ clock: 'manual' });
    for (let i = 0; i <= 1024; i++) expect(m.start({ kind: 'reset-trigger', bdf: PROBE, method: 'flr' }).reply).toBeUndefined();
    expect(m.reset(PROBE).reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
  });
});
