/** Window tokens: asking again tells what became of a call whose answer was lost. */
import { describe, expect, it } from 'vitest';
import { CoreMachine, FIRST, PROBE, SIBLINGS } from '../../../kit/core-machine.ts';
import { HoldMachine } from '../../../kit/hold-machine.ts';

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

  it('all windows at once: those of a reset that runs stay, so that one that fails leaves its function blocked', () => {
    const m = new CoreMachine({ clock: 'manual' });
    m.prepare(PROBE, 'a');
    m.arm(PROBE, 'never-ready', { count: 0 });
    const reset = m.reset(PROBE);
    expect(m.info(PROBE).resetDepth).toBe(2);
    expect(done(m, '', true)).toMatchObject({ depth: 1, warning: '' });
    expect(done(m, '', true)).toMatchObject({ depth: 1, warning: expect.stringContaining('those of a reset that runs') as string });
    expect(m.info(PROBE)).toMatchObject({ resetDepth: 1, blocked: true });
    m.advance(100_000);
    expect(reset.reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
    expect(m.info(PROBE)).toMatchObject({ resetDepth: 0, blocked: true });
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

describe('what hosts are told', () => {
  const windows = (m: CoreMachine) => m.events.filter((event) => event.kind === 'window');

  it('of a window that opens and closes, once each, however many nest in it', () => {
    const m = new CoreMachine();
    m.prepare(PROBE, 'outer');
    m.prepare(PROBE, 'inner');
    expect(windows(m)).toEqual([{ kind: 'window', bdf: PROBE, open: true, depth: 1, timeNs: 0 }]);
    expect(done(m, 'outer')).toMatchObject({ skipped: false, depth: 1, warning: '' });
    expect(windows(m)).toHaveLength(1);
    expect(done(m, 'inner')).toMatchObject({ skipped: false, depth: 0, warning: '' });
    expect(windows(m).slice(1)).toEqual([{ kind: 'window', bdf: PROBE, open: false, depth: 0, timeNs: 0 }]);
    expect(warnings(m)).toEqual([]);
  });

  it.each(['strict', 'linux-7.1'] as const)('%s: of a domain that could not be given back', (behaviour) => {
    const m = new HoldMachine({ functions: SIBLINGS, behaviour });
    m.prepare(FIRST);
    m.arm(FIRST, 'attach-fails');
    const { warning } = m.done(FIRST);
    expect(warning).toBe('00:05.0 could not be given back its domain (EIO): the hardware still blocks it');
    expect(m.logs()).toContain(warning);
    expect(m.info(FIRST)).toMatchObject({ blocked: behaviour === 'strict', gate: behaviour === 'strict' ? 'closed' : 'open' });
    expect(m.group(FIRST).recoveryCount).toBe(0);
  });

  it('of a PASID that could not be given back: the others are', () => {
    const m = new HoldMachine({ functions: SIBLINGS, behaviour: 'linux-7.1' });
    for (const pasid of [5, 6]) m.call('ok', m.attachPasid(FIRST, pasid, m.allocDomain()));
    m.prepare(FIRST);
    m.arm(FIRST, 'attach-fails', { first: 2 });
    expect(m.done(FIRST)).toMatchObject({ depth: 0, warning: '' });
    expect(m.logs().join()).toContain('done: PASID 5 could not be restored');
    const { pasids } = m.info(FIRST);
    expect(pasids.map(({ physicalDomain, logicalDomain }) => physicalDomain?.id === logicalDomain.id)).toEqual([false, true]);
  });
});
