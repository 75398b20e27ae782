/** Whatever is chosen, the story comes to what the rules say; and on a machine that is wrong in something it does not. */
import { describe, expect, it } from 'vitest';
import type { Act } from '../../../../../client/cli/demo/act.ts';
import { BEHAVIOURS, FAULTS, METHODS, chosen, type Choice } from '../../../../../client/cli/demo/choice.ts';
import { loadDoors, type Doors } from '../../../../../client/cli/demo/stage.ts';

const SEED = 7;
const sound = await loadDoors();
const failed = ({ claims }: Act): string[] => claims.filter(({ holds }) => !holds).map(({ text }) => text);
const said = ({ claims }: Act): string => claims.map(({ text }) => text).join('\n');

const CHOICES: readonly Choice[] = [
  ...METHODS.flatMap((method) => BEHAVIOURS.map((behaviour) => ({ method, fault: 'none', behaviour }) as const)),
  ...FAULTS.flatMap((fault) => BEHAVIOURS.map((behaviour) => ({ method: 'flr', fault, behaviour }) as const)),
  ...FAULTS.map((fault) => ({ method: 'cxl_bus', fault, behaviour: 'linux-7.0' }) as const),
  ...METHODS.map((method) => ({ method, fault: 'surprise-down', behaviour: 'strict' }) as const),
];

describe('the story that was chosen', () => {
  it.each(CHOICES)('$method, $fault, $behaviour: everything that it claims happened', (choice) => {
    expect([failed(chosen(sound, SEED, choice, false)), failed(chosen(sound, SEED, choice, true))]).toEqual([[], []]);
  });

  it.each([0, 1, 0xffff_ffff])('seed %i: too, and the same seed tells the same story', (seed) => {
    const choice = { method: 'bus', fault: 'late-invalidations', behaviour: 'linux-7.1' } as const;
    const act = chosen(sound, seed, choice, true);
    expect(failed(act)).toEqual([]);
    expect(chosen(sound, seed, choice, true)).toEqual(act);
  });

  it('ends otherwise by what was chosen', () => {
    const end = (method: Choice['method'], fault: Choice['fault'], behaviour: Choice['behaviour']): string =>
      said(chosen(sound, SEED, { method, fault, behaviour }, true));
    expect(end('flr', 'none', 'strict')).toContain("process B's data is whole: the late write was aborted");
    expect(end('flr', 'none', 'linux-7.1')).toContain("landed in process B's page");
    expect(end('flr', 'never-ready', 'strict')).toMatch(/ended with ENOTTY after \d+ ms[\s\S]*stays blocked/);
    expect(end('flr', 'attach-fails', 'strict')).toMatch(/ended with EIO[\s\S]*was not reset/);
    expect(end('cxl_bus', 'none', 'linux-7.0')).toContain('ended with EBUSY');
    expect(end('cxl_bus', 'none', 'linux-7.1')).toContain('ended with ok');
  });
});

type Spec = ConstructorParameters<Doors['machine']['Machine']>[0];

function doorsTo(wrong: (spec: Spec) => Spec, hides?: string): Doors {
  const { Machine } = sound.machine;
  class Wrong extends Machine {
    constructor(spec: Spec) {
      super(wrong(spec));
      const { trace } = this;
      const listen = trace.listen.bind(trace);
      trace.listen = (sink) => listen((record) => (record.kind === hides ? undefined : sink(record)));
    }
  }
  return { ...sound, machine: { ...sound.machine, Machine: Wrong } };
}

describe('a machine that is wrong', () => {
  const STRICT: Choice = { method: 'flr', fault: 'none', behaviour: 'strict' };
  it.each<[string, (spec: Spec) => Spec, Choice, string]>([
    ['it is Linux', (spec) => ({ ...spec, behaviour: 'linux-7.1' }), STRICT, "process B's data is whole"],
    ['it is strict', (spec) => ({ ...spec, behaviour: 'strict' }), { ...STRICT, behaviour: 'linux-7.1' }, 'the late write landed'],
    [
      'it quarantines nobody',
      (spec) => ({ ...spec, behaviour: 'linux-7.1' }),
      { ...STRICT, fault: 'never-ready' },
      'the function stays blocked',
    ],
    [
      'it has no FLR',
      (spec) => ({ ...spec, functions: spec.functions.map((fn) => ({ ...fn, reset: { noFlr: true } })) }),
      STRICT,
      'the reset ended with ENOTTY',
    ],
    [
      'windows nest',
      (spec) => ({ ...spec, behaviour: 'linux-7.1' }),
      { ...STRICT, method: 'cxl_bus', behaviour: 'linux-7.0' },
      'the reset ended with ok',
    ],
  ])('%s: the act says so', (_what, wrong, choice, claim) => {
    expect(failed(chosen(doorsTo(wrong), SEED, choice, true)).join('\n')).toContain(claim);
  });

  it('nobody was reset: the act says so', () => {
    const act = chosen(
      doorsTo((spec) => spec, 'function-reset'),
      SEED,
      STRICT,
      true,
    );
    expect(failed(act)).toEqual(['the function was reset']);
  });
});
