/** What hosts ask of resets: a whole bus, its locks, and what cannot be reset so. */
import { describe, expect, it } from 'vitest';
import { bdf } from '../../../../server/src/core/base/index.ts';
import { MS, PROBE } from '../../../kit/core-machine.ts';
import { CHILD, CXL, FORGETS, PORT, ResetMachine, below, port, resettable } from '../../../kit/reset-machine.ts';

const IOVA = 0x1_0000;
const OTHER = bdf(0, 1, 0, 1);
const two = (options: ConstructorParameters<typeof ResetMachine>[1] = {}): ResetMachine => {
  const m = new ResetMachine(
    [port(PORT, 1), resettable(CHILD, {}, {}, { multiFunction: true }), resettable(OTHER, {}, {}, { multiFunction: true })],
    options,
  );
  m.map(CHILD, IOVA, m.allocPage());
  return m;
};

describe('a reset of a whole bus', () => {
  it('strict has a window on every function, and all are as before afterwards', () => {
    const m = two();
    const before = [m.config(CHILD, 4), m.config(OTHER, 4)];
    m.write(CHILD, IOVA, 'held', { hold: 'translated' });
    const { reply } = m.busReset(PORT);
    expect(reply).toMatchObject({ kind: 'bus-reset', functions: [CHILD, OTHER], aborted: 1 });
    expect([m.windows(CHILD), m.windows(OTHER)]).toEqual([
      ['open', 'closed'],
      ['open', 'closed'],
    ]);
    expect([m.resets(CHILD), m.resets(OTHER), m.resets(PORT)]).toEqual([1, 1, 0]);
    expect([m.config(CHILD, 4), m.config(OTHER, 4)]).toEqual(before);
    expect(m.callbacks()).toEqual(['reset-prepare', 'reset-prepare', 'reset-done', 'reset-done']);
    expect(m.outcome(CHILD, IOVA)).toBe('performed');
  });

  it('linux-7.1 has none: what the function was granted before stays in use until the IOMMU asks it to forget', () => {
    const m = two({ behaviour: 'linux-7.1' });
    expect(m.busReset(PORT).reply).toMatchObject({ kind: 'bus-reset', skipped: true });
    expect([m.windows(CHILD), m.traced('prepare')]).toEqual([[], []]);
    expect(m.resets(CHILD)).toBe(1);
  });

  it('is bridges too, which get their bus numbers back before what is below them', () => {
    const [switchPort, deep] = [bdf(0, 1, 0, 0), bdf(0, 2, 0, 0)];
    const m = new ResetMachine([port(PORT, 1, { subordinate: 2 }), port(switchPort, 2, { kind: 'upstream-port' }), resettable(deep)]);
    m.map(deep, IOVA, m.allocPage());
    const before = m.config(switchPort, 0x18, 4);
    expect(m.busReset(PORT).reply).toMatchObject({ functions: [switchPort, deep] });
    expect(m.config(switchPort, 0x18, 4)).toBe(before);
    expect(m.outcome(deep, IOVA)).toBe('performed');
  });

  it('a prepare that fails: nothing is reset, and every window is closed', () => {
    const m = two();
    m.arm(OTHER, 'attach-fails');
    expect(m.busReset(PORT).reply).toMatchObject({ kind: 'refused', code: 'EIO' });
    expect([m.resets(CHILD), m.resets(OTHER)]).toEqual([0, 0]);
    expect([m.info(CHILD).resetDepth, m.info(OTHER).resetDepth, m.info(CHILD).blocked]).toEqual([0, 0, false]);
    expect(m.outcome(CHILD, IOVA)).toBe('performed');
  });

  it('strict: the one that does not get ready stays blocked, though Linux asks another', () => {
    const m = two();
    m.arm(OTHER, 'never-ready', { count: 0 });
    m.busReset(PORT);
    expect([m.info(CHILD).blocked, m.info(OTHER).blocked]).toEqual([false, true]);
  });

  it.each([
    [1, 100, 'up to 5 GT/s'],
    [2, 100, 'up to 5 GT/s'],
    [3, 120, 'above'],
    [5, 120, 'above'],
  ])('over a link of speed %i it takes 2 + %i ms (%s)', (speed, ms) => {
    expect(new ResetMachine(below({}, {}, { speed })).busReset(PORT).reply).toMatchObject({ elapsedNs: (2 + ms) * MS });
  });

  it('never ready: up to 5 GT/s a second first, then 59 more, both with a backoff of their own', () => {
    const at = (speed: number): unknown => {
      const m = new ResetMachine(below({}, {}, { speed }));
      m.arm(CHILD, 'never-ready', { count: 0 });
      const { reply } = m.busReset(PORT);
      expect(reply).toMatchObject({ kind: 'refused', code: 'ENOTTY' });
      return reply?.kind === 'refused' && reply.elapsedNs / MS;
    };
    expect([at(1), at(4)]).toEqual([2 + 100 + 1023 + 65_535, 2 + 20 + 100 + 65_535]);
  });

  it('is refused where it cannot be', () => {
    const code = (functions: ConstructorParameters<typeof ResetMachine>[0], at = PORT, slot = false): unknown =>
      new ResetMachine(functions).busReset(at, { slot }).reply;
    expect(code([resettable(PROBE)], PROBE)).toMatchObject({ code: 'ENOTTY', message: expect.stringContaining('no bridge') });
    expect(code([port(PORT, 1)])).toMatchObject({ code: 'ENOTTY', message: expect.stringContaining('nothing below') });
    expect(code(below({ noBus: true }))).toMatchObject({ code: 'ENOTTY', message: expect.stringContaining('does not stand') });
    expect(code(below(), PORT, true)).toMatchObject({ code: 'ENOTTY', message: expect.stringContaining('no hot-plug slot') });
  });
});

describe('locks', () => {
  it('a reset of a function keeps one of its bus waiting, and a try is EAGAIN', () => {
    const m = two({ clock: 'manual' });
    const first = m.resetBy(CHILD, 'flr');
    const bus = m.busReset(PORT);
    expect(m.busReset(PORT, { tryLock: true }).reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
    expect(m.resetBy(CHILD, 'flr', { tryLock: true }).reply).toMatchObject({ kind: 'refused', code: 'EAGAIN' });
    m.advance(100);
    expect([first.reply?.kind, bus.reply]).toEqual(['reset', undefined]);
    m.advance(200);
    expect(bus.reply).toMatchObject({ kind: 'bus-reset' });
  });

  it('whoever came first is first: one that could go at once does not pass a bus that waits for it', () => {
    const m = two({ clock: 'manual' });
    m.resetBy(CHILD, 'flr');
    const bus = m.busReset(PORT);
    const late = m.resetBy(OTHER, 'flr');
    m.advance(250);
    expect([bus.reply?.kind, late.reply]).toEqual(['bus-reset', undefined]);
    m.advance(100);
    expect(late.reply).toMatchObject({ kind: 'reset' });
  });

  it('two functions below one bridge are reset one after the other; on a root bus they are not', () => {
    const m = two({ clock: 'manual' });
    const replies = [m.resetBy(CHILD, 'flr'), m.resetBy(OTHER, 'flr')];
    m.advance(100);
    expect(replies.map((one) => one.reply?.kind)).toEqual(['reset', undefined]);
  });
});

describe('a method that is named', () => {
  it('need not be enabled, and must be supported', () => {
    const m = new ResetMachine([resettable(PROBE)]);
    m.setMethods(PROBE, '');
    expect(m.resetBy(PROBE, 'flr').reply).toMatchObject({ kind: 'reset' });
    expect(m.resetBy(PROBE, 'bus').reply).toMatchObject({ code: 'ENOTTY', message: expect.stringContaining('it supports flr') });
  });

  it('is malformed when there is none of that name, and nothing is reset', () => {
    const m = new ResetMachine([resettable(PROBE)]);
    expect(() => m.resetBy(PROBE, 'fli' as 'flr')).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'method' }));
    expect(m.traced('function-reset')).toEqual([]);
  });

  it('bus is for the only function on a bus', () => {
    expect(two().methods(CHILD)).toEqual(['flr']);
    expect(new ResetMachine(below()).methods(CHILD)).toEqual(['flr', 'bus']);
  });

  it('below a CXL port that masks it, bus is there and answers ENOTTY; cxl_bus unmasks it for its time', () => {
    const m = new ResetMachine(below({}, {}, { capabilities: CXL }));
    expect(m.resetBy(CHILD, 'bus').reply).toMatchObject({ code: 'ENOTTY' });
    expect(m.resetBy(CHILD, 'cxl_bus').reply).toMatchObject({ kind: 'reset' });
    expect(m.resetBy(CHILD, 'bus').reply).toMatchObject({ code: 'ENOTTY' });
  });

  it('a quirk that refuses is not among the methods', () => {
    expect(new ResetMachine([resettable(PROBE, { deviceSpecific: 'refuses' })]).methods(PROBE)).toEqual(['flr']);
  });
});

describe('a function in D3hot', () => {
  it('is brought to D0 first; where it forgets, its base addresses are written back', () => {
    const m = new ResetMachine([resettable(PROBE, {}, FORGETS)]);
    m.writeConfig(PROBE, 0x10, 4, 0xe000_0000);
    m.writeConfig(PROBE, 0x44, 2, 3);
    expect(m.resetBy(PROBE, 'flr').reply).toMatchObject({ kind: 'reset', elapsedNs: 110 * MS });
    expect([m.config(PROBE, 0x10, 4) >>> 0, m.config(PROBE, 0x44) & 3, m.resets(PROBE)]).toEqual([0xe000_0000, 0, 2]);
  });
});
