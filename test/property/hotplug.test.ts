/** Whatever comes and goes in whatever order: the machine's invariants hold after each step, everything is answered, and the same steps give the same hash. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bdf, type Bdf } from '../../server/src/core/base/index.ts';
import { BELOW, PORT, type CoreMachine, type Pending } from '../kit/core-machine.ts';
import { FIRST, IOVA, SECOND, SriovMachine, physical } from '../kit/sriov-machine.ts';

const PLACES: readonly Bdf[] = [BELOW, FIRST, SECOND, bdf(0, 1, 0x10, 2)];

type Step =
  | { readonly do: 'plug' }
  | { readonly do: 'unplug'; readonly at: Bdf; readonly surprise: boolean }
  | { readonly do: 'enable'; readonly count: number }
  | { readonly do: 'prepare' | 'done' | 'reset' | 'write' | 'release' | 'attach'; readonly at: Bdf }
  | { readonly do: 'advance'; readonly ms: number };

const at = fc.constantFrom(...PLACES);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ do: 'plug' } as const),
  fc.record({ do: fc.constant('unplug' as const), at: fc.constantFrom(PORT, ...PLACES), surprise: fc.boolean() }),
  fc.record({ do: fc.constant('enable' as const), count: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ do: fc.constantFrom('prepare', 'done', 'reset', 'write', 'release', 'attach'), at }),
  fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 100, 2000) }),
) as fc.Arbitrary<Step>;

/** ENODEV and other refusals are thrown or answered: which, is not what this is about. */
function attempt(run: () => Pending): Pending | undefined {
  try {
    return run();
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError' });
    return undefined;
  }
}

function take(m: SriovMachine, one: Step): Pending | undefined {
  switch (one.do) {
    case 'plug':
      return attempt(() => m.plug([physical()], PORT));
    case 'unplug':
      return attempt(() => m.unplug(one.at, { surprise: one.surprise }));
    case 'enable':
      if (m.functions().includes(BELOW)) m.enable(one.count, one.count === 0 ? 0 : 9);
      return undefined;
    case 'prepare':
      return attempt(() => m.startPrepare(one.at, 'w', { deadlineMs: 1 }));
    case 'done':
      return attempt(() => m.start({ kind: 'reset-done', bdf: one.at, token: 'w', all: true }));
    case 'reset':
      return attempt(() => m.reset(one.at));
    case 'write':
      return attempt(() => m.write(one.at, IOVA, 'x', { hold: 'issued' }));
    case 'release':
      return attempt(() => m.start({ kind: 'dma-release', bdf: one.at, request: 0 }));
    case 'attach':
      return attempt(() => m.start(m.attach(one.at, m.allocDomain())));
    case 'advance':
      m.advance(one.ms);
      return undefined;
  }
}

function check(m: CoreMachine): void {
  const { functions } = m.machine.inspect();
  const members = new Map<number, number>();
  for (const { group } of functions) members.set(group.id, (members.get(group.id) ?? 0) + 1);
  for (const fn of functions) {
    const { group } = fn;
    expect(members.get(group.id), 'members of a group are there').toBe(group.members);
    if (group.busy) continue;
    expect(group.recoveryCount, '7').toBe(group.inWindow);
    expect(fn.blocked, '8').toBe(fn.resetDepth > 0 || fn.quarantined);
    if (fn.blocked) expect(fn.physical.type, '2').toBe('blocked');
  }
}

function play(steps: readonly Step[], behaviour: 'strict' | 'linux-7.1'): string {
  const m = new SriovMachine({ behaviour, clock: 'manual' });
  const pending = steps.map((one) => {
    const call = take(m, one);
    check(m);
    return call;
  });
  // All that was held goes, and all timers pass: nothing is left that waits.
  for (const place of PLACES) take(m, { do: 'release', at: place });
  for (let i = 0; i < 8; i++) m.advance(100_000);
  check(m);
  for (const [i, call] of pending.entries()) expect(call === undefined || call.reply !== undefined, `step ${i} is answered`).toBe(true);
  return m.hash();
}

it.each(['strict', 'linux-7.1'] as const)(
  '%s: plug, unplug, VF Enable, windows and DMA in any order',
  (behaviour) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
        expect(play(steps, behaviour)).toBe(play(steps, behaviour));
      }),
      { numRuns: 60 },
    );
  },
  120_000,
);
