/** Each claim can fail: machines that are wrong in one thing, and what the acts say of them. */
import { describe, expect, it } from 'vitest';
import type { Act } from '../../../../../client/cli/demo/act.ts';
import { withWindow, withoutWindow } from '../../../../../client/cli/demo/acts.ts';
import { loadDoors, type Doors, type TraceRecord } from '../../../../../client/cli/demo/stage.ts';

const SEED = 7;
const FUNCTION = 0x300;
const sound = await loadDoors();

type Spec = ConstructorParameters<Doors['machine']['Machine']>[0];

interface Defect {
  readonly spec?: (spec: Spec) => Spec;
  /** Records that are not as they should be; undefined leaves one out. */
  readonly record?: (record: TraceRecord) => TraceRecord | undefined;
  readonly log?: (text: string) => boolean;
}

/** The doors to machines with a defect. */
function doorsWith({ spec = (same) => same, record = (same) => same, log = () => true }: Defect): Doors {
  const { Machine } = sound.machine;
  class Wrong extends Machine {
    constructor(own: Spec) {
      super(spec(own));
      const { trace } = this;
      const listen = trace.listen.bind(trace);
      trace.listen = (sink) =>
        listen((seen) => {
          const shown = record(seen);
          if (shown !== undefined) sink(shown);
        });
    }

    override takeOutbox() {
      return super.takeOutbox().filter((item) => item.type !== 'event' || item.event.kind !== 'log' || log(item.event.text));
    }
  }
  return { ...sound, machine: { ...sound.machine, Machine: Wrong } };
}

const without = (kind: TraceRecord['kind'], fits: (record: TraceRecord) => boolean = () => true): Defect => ({
  record: (seen) => (seen.kind === kind && seen.a === FUNCTION && fits(seen) ? undefined : seen),
});
const failed = (act: Act): string[] => act.claims.filter((claim) => !claim.holds).map((claim) => claim.text);

describe('without the window', () => {
  it('all holds on a machine that is sound', () => {
    expect(failed(withoutWindow(sound, SEED))).toEqual([]);
  });

  it.each<[string, Defect, string]>([
    [
      'the timeout is shorter',
      { spec: (spec) => ({ ...spec, iommu: { invalidationTimeoutNs: 400_000_000 } }) },
      'after 1 s the timeout was logged',
    ],
    ['the timeout is not logged', { log: (text) => !text.includes('did not answer') }, 'after 1 s the timeout was logged'],
    [
      'bus mastering stays on',
      { record: (seen) => (seen.kind === 'config-write' ? { ...seen, c: 4 } : seen) },
      'before bus mastering went off',
    ],
    ['the write is not translated', { record: (seen) => (seen.kind === 'dma-held' ? { ...seen, d: 0 } : seen) }, 'a posted write'],
    ['the invalidation is not ignored', without('invalidation-ignored'), 'ignored the Invalidate Request'],
    ['FLR is shorter', { record: (seen) => (seen.kind === 'function-ready' ? { ...seen, timeNs: 70_000_000 } : seen) }, 'FLR took 100 ms'],
    ['the write never lands', without('dma-performed', ({ timeNs }) => timeNs > 0), "landed in process B's page"],
    ['nothing detects it', { log: (text) => !text.startsWith('stale-atc') }, 'the detector called it stale-atc'],
    ['it is strict', { spec: (spec) => ({ ...spec, behaviour: 'strict' }) }, "landed in process B's page"],
  ])('%s: the act says so', (_what, defect, claim) => {
    expect(failed(withoutWindow(doorsWith(defect), SEED)).join('\n')).toContain(claim);
  });
});

describe('with the window', () => {
  it('all holds on a machine that is sound', () => {
    expect(failed(withWindow(sound, SEED))).toEqual([]);
  });

  it.each<[string, Defect, string]>([
    [
      'one page is invalidated',
      { record: (seen) => (seen.kind === 'invalidation-sent' && seen.d === 0 ? { ...seen, d: 1 } : seen) },
      'whole-ATC',
    ],
    ['the function does not answer', without('invalidation-completed'), 'whole-ATC'],
    ['it is never blocked', without('prepare', ({ b }) => b === 4), 'nothing landed in the window'],
    ['the gate stays open', without('gate', ({ b }) => b === 0), 'prepare closes the gate'],
    ['the window is never closed', without('done'), 'reset-done gives translation back'],
    ['FLR never begins', without('function-reset'), 'before the FLR'],
    ['the held write does not land', without('dma-performed', ({ timeNs }) => timeNs > 0), 'did not pass the held write'],
    ['it is Linux, which does not drain', { spec: (spec) => ({ ...spec, behaviour: 'linux-7.1' }) }, 'no invalidation timed out'],
  ])('%s: the act says so', (_what, defect, claim) => {
    expect(failed(withWindow(doorsWith(defect), SEED)).join('\n')).toContain(claim);
  });

  it('tells nothing that did not happen', () => {
    const act = withWindow(doorsWith(without('function-reset')), SEED);
    expect(act.lines.map((line) => line.text)).not.toContain('FLR begins');
  });
});
