import { describe, expect, it } from 'vitest';
import { TRACE_KINDS } from '../../../server/src/core/base/index.ts';
import { Timeline } from '../../../server/src/observe/index.ts';
import { CoreMachine, MS, PROBE, READ_WRITE } from '../../kit/core-machine.ts';
import { readTimeline, type ReadTimeline } from '../../kit/timeline-schema.ts';

const IOVA = 0x1_0000;

function told(story: (m: CoreMachine) => void): ReadTimeline {
  const m = new CoreMachine({ clock: 'manual' });
  const timeline = new Timeline('lab', new Map([[PROBE, 'dma-probe']]));
  m.machine.trace.listen(timeline.sink);
  story(m);
  return readTimeline(timeline.end(m.machine.nowNs));
}

function of({ slices }: ReadTimeline, track: string): unknown[] {
  return slices.filter((slice) => slice.track === track).map(({ name, fromUs, toUs }) => [name, fromUs, toUs]);
}

describe('a timeline', () => {
  it('has each DMA request from its issue to its end, what happened to it, and how many are in flight', () => {
    const read = told((m) => {
      m.map(PROBE, IOVA, m.allocPage());
      m.write(PROBE, IOVA, 'late', { hold: 'translated' });
      m.advance(2);
      m.write(PROBE, IOVA, 'more', { hold: 'issued' });
      m.advance(3);
      m.release(PROBE);
    });
    const { slices, counters } = read;
    const dma = slices.filter(({ track }) => track === 'dma');
    expect(dma.map(({ process, name, fromUs, toUs }) => [process, name, fromUs, toUs])).toEqual([
      ['00:02.0 dma-probe', 'DMA 0x10000', 0, 5000],
      ['00:02.0 dma-probe', 'DMA 0x10000', 2000, 5000],
    ]);
    expect(dma.map(({ args }) => args['outcome'])).toEqual(['performed', 'performed']);
    expect(counters.map(({ name, us, value }) => [name, us, value])).toEqual([
      ['in flight', 0, 1],
      ['in flight', 2000, 2],
      ['in flight', 5000, 1],
      ['in flight', 5000, 0],
    ]);
  });

  it('has a reset window with its phases, the closed gate, and the domain that each moment had', () => {
    const read = told((m) => {
      m.map(PROBE, IOVA, m.allocPage());
      m.write(PROBE, IOVA, 'late', { hold: 'issued' });
      m.startPrepare(PROBE, 'w', { deadlineMs: 4 });
      m.advance(10);
      m.done(PROBE);
    });
    expect(of(read, 'reset window')).toEqual(
      expect.arrayContaining([
        ['draining', 0, 4000],
        ['blocked', 4000, 10_000],
        ['window', 0, 10_000],
      ]),
    );
    expect(of(read, 'gate')).toEqual([['closed', 0, 10_000]]);
    expect(of(read, 'domain')).toEqual(expect.arrayContaining([['blocked', 4000, 10_000]]));
    expect(read.slices.find(({ track }) => track === 'dma')?.args).toMatchObject({ outcome: 'aborted' });
    expect(of(read, 'invalidation').length).toBeGreaterThan(0);
  });

  it('has an invalidation that nobody answers until its timeout, by its ITag', () => {
    const read = told((m) => {
      m.arm(PROBE, 'ignore-invalidations');
      m.startPrepare(PROBE);
      m.advance(3000);
    });
    const [slice] = read.slices.filter(({ track }) => track === 'invalidation');
    const outstanding = read.counters.filter(({ name }) => name === 'invalidations outstanding').map(({ value }) => value);
    expect(outstanding).toEqual([1, 0]);
    expect(slice).toMatchObject({ name: 'ITag 0: everything', fromUs: 0, toUs: 1_000_000, args: { itag: 0, result: 'timed out' } });
  });

  it('has the steps of a reset one after the other', () => {
    const read = told((m) => {
      m.reset(PROBE);
      m.advance(500);
    });
    const steps = read.slices.filter(({ track }) => track === 'reset');
    expect(steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['save', 'prepare', 'flr-time', 'done', 'restore', 'reset']));
    expect(steps.find(({ name }) => name === 'flr-time')).toMatchObject({ fromUs: 0, toUs: 100_000 });
    expect(steps.find(({ name }) => name === 'reset')).toMatchObject({ fromUs: 0, toUs: 100_000 });
  });

  it('ends what is open where the trace ends', () => {
    const read = told((m) => {
      m.map(PROBE, IOVA, m.allocPage());
      m.write(PROBE, IOVA, 'late', { hold: 'issued' });
      m.startPrepare(PROBE, 'w', { deadlineMs: 100 });
      m.advance(7);
    });
    expect(of(read, 'reset window')).toEqual([
      ['draining', 0, 7000],
      ['window', 0, 7000],
    ]);
    expect(of(read, 'dma')).toEqual([['DMA 0x10000', 0, 7000]]);
  });

  it('is one that can be read whatever is traced, in whatever order', () => {
    const timeline = new Timeline('any');
    let ns = 0;
    for (let round = 0; round < 40; round++) {
      for (const [i, kind] of TRACE_KINDS.entries()) {
        ns += (i * round) % 3;
        const record = {
          kind: TRACE_KINDS[(i * (round + 1)) % TRACE_KINDS.length] ?? kind,
          timeNs: ns,
          a: round % 3,
          b: (i + round) % 9,
          c: i % 5,
          d: round % 2,
        };
        timeline.sink(record);
      }
    }
    const { slices, instants } = readTimeline(timeline.end());
    expect(slices.length).toBeGreaterThan(100);
    expect(instants.length).toBeGreaterThan(100);
  });
});

it('has as many events as one may have, and no more', () => {
  const withEvents = (events: number): string => {
    const timeline = new Timeline('lab', new Map(), 1000);
    // Besides what names the machine, the function, and its track.
    for (let i = 0; i < events - 5; i++) timeline.sink({ kind: 'fault', timeNs: i, a: 16, b: 1, c: 0, d: 1 });
    return timeline.end();
  };
  expect(() => withEvents(1001)).toThrow('more than 1000 events');
  expect(readTimeline(withEvents(1000)).instants).toHaveLength(995);
});

it('is told in microseconds with every nanosecond', () => {
  const timeline = new Timeline('lab');
  timeline.sink({ kind: 'fault', timeNs: 1_234_567, a: 16, b: 1, c: 0x10, d: READ_WRITE });
  expect(readTimeline(timeline.end()).instants).toEqual([{ process: '00:02.0', track: 'events', name: 'fault not-present', us: 1234.567 }]);
  expect(MS).toBe(1_000_000);
});
