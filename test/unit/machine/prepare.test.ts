/** Window tokens: asking again tells what became of a call whose answer was lost. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, PROBE } from '../../kit/core-machine.ts';

const done = (m: CoreMachine, token: string, all = false) => m.call('reset-done', { kind: 'reset-done', bdf: PROBE, token, all });
const warnings = (m: CoreMachine) => m.events.filter((event) => event.kind === 'log');

describe('reset-done', () => {
  it('again with the token of a window that it closed gets the same answer, and changes nothing', () => {
    const m = new CoreMachine();
    m.prepare(PROBE, 'outer');
    m.prepare(PROBE, 'inner');
    const inner = done(m, 'inner');
    expect(inner).toMatchObject({ depth: 1, warning: '' });
    const outer = done(m, 'outer');
    expect(outer).toMatchObject({ depth: 0, warning: '' });
    const before = m.call('function-info', { kind: 'function-info', bdf: PROBE });
    expect(done(m, 'inner')).toEqual(inner);
    expect(done(m, 'outer')).toEqual(outer);
    expect(m.call('function-info', { kind: 'function-info', bdf: PROBE })).toEqual(before);
    expect(warnings(m)).toEqual([]);
  });

  it('of a token that never had a window warns', () => {
    const m = new CoreMachine();
    m.prepare(PROBE, 'one');
    expect(done(m, 'two')).toMatchObject({ depth: 1, warning: expect.stringContaining('"two", which is not open') as string });
    done(m, 'one');
    expect(done(m, 'two')).toMatchObject({ depth: 0, warning: expect.stringContaining('no open window') as string });
    expect(warnings(m)).toHaveLength(2);
  });

  it('a token that opens another window has a new answer to come', () => {
    const m = new CoreMachine();
    m.prepare(PROBE, 'same');
    done(m, 'same');
    m.prepare(PROBE, 'other');
    expect(m.prepare(PROBE, 'same').depth).toBe(2);
    expect(done(m, 'same')).toMatchObject({ depth: 1, warning: '' });
    expect(done(m, 'other')).toMatchObject({ depth: 0, warning: '' });
  });

  it('all windows at once: each of their tokens knows', () => {
    const m = new CoreMachine();
    m.prepare(PROBE, 'a');
    m.prepare(PROBE, 'b');
    const all = done(m, '', true);
    expect(all).toMatchObject({ depth: 0, warning: '' });
    expect([done(m, 'a'), done(m, 'b')]).toEqual([all, all]);
    expect(done(m, '', true).warning).toContain('no open window');
  });

  it('64 answers are kept, the oldest goes first', () => {
    const m = new CoreMachine();
    for (let i = 0; i < 65; i++) {
      m.prepare(PROBE, `w${i}`);
      done(m, `w${i}`);
    }
    expect(done(m, 'w1').warning).toBe('');
    expect(done(m, 'w0').warning).toContain('no open window');
  });
});

describe('reset-prepare', () => {
  it('1024 windows nest; the next is EAGAIN, and all close', () => {
    const m = new CoreMachine();
    for (let i = 0; i < 1024; i++) m.prepare(PROBE, `w${i}`);
    expect(m.startPrepare(PROBE, 'one more').reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
    expect(m.info(PROBE).resetDepth).toBe(1024);
    expect(m.start({ kind: 'reset-done', bdf: PROBE, token: '', all: true }).reply).toMatchObject({ kind: 'reset-done', depth: 0 });
  });
});
