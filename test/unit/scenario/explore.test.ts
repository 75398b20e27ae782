import { describe, expect, it } from 'vitest';
import { FIX_NAMES } from '../../../server/src/core/machine/index.ts';
import {
  alikeReason,
  explore,
  machineOf,
  parseScenario,
  runScenario,
  scenarioOf,
  SETTING_NAMES,
  sets,
  withOrder,
  type Explored,
} from '../../../server/src/scenario/index.ts';

const NO_FILES = (): string => expect.unreachable();

function explored(text: string, ordersMax = 500, options: Parameters<typeof machineOf>[1] = {}): Explored {
  const scenario = parseScenario(text);
  return explore(scenario, machineOf(scenario, options, NO_FILES), { ordersMax, seed: 1 });
}

/** Two actors whose lines are no calls with steps: each line is one step. */
function lines(one: number, two: number): string {
  const advance = (count: number): string => '  advance 1ms\n'.repeat(count);
  return `iommud.scenario/v1\nmachine siblings\nclock manual\nactor one\n${advance(one)}actor two\n${advance(two)}`;
}

describe('the orders of two actors', () => {
  it.each([
    [1, 1, 2],
    [2, 3, 10],
    [4, 4, 70],
    [5, 1, 6],
  ])('of %i and %i steps are all run: %i', (one, two, orders) => {
    expect(explored(lines(one, two))).toMatchObject({ possible: orders, exact: true, run: orders, violations: 0, failure: undefined });
  });

  it('are drawn where there are too many, and their number is estimated', () => {
    const { possible, exact, run } = explored(lines(9, 9), 100);
    expect([exact, run]).toEqual([false, 100]);
    // 18! / 9!² = 48,620; each product of choices is an estimate of its own.
    expect(possible).toBeGreaterThan(10_000);
    expect(possible).toBeLessThan(200_000);
  });

  it('end in as many states as a host can tell apart', () => {
    const twice =
      'iommud.scenario/v1\nmachine siblings\nclock manual\nA = domain paging\nB = domain paging\nactor one\n attach 00:05.0 A\nactor two\n attach 00:05.0 B\n';
    expect(explored(twice).endStates.size).toBe(2);
  });
});

describe('an expectation of the file that one order breaks', () => {
  const TEXT = `iommud.scenario/v1
title late
machine siblings
clock manual
page = alloc 4096
map 00:05.0 0x1000 page 4096
actor writer
  write 00:05.0 0x1000 "x"
actor driver
  unmap 00:05.0 0x1000 4096
finally
  peek page 1 => data=x
`;

  it('is found, with the order that breaks it, and the file that is written repeats it', () => {
    const { failure, violations, run, exact } = explored(TEXT);
    expect(exact).toBe(true);
    expect(violations).toBeGreaterThan(0);
    expect(violations).toBeLessThan(run);
    expect(failure?.text).toContain('line 12');
    const text = withOrder(TEXT, failure?.order ?? [], { behaviour: undefined, withoutFixes: undefined }, 'repeat');
    const again = runScenario(parseScenario(text), { load: NO_FILES });
    expect(again).toMatchObject({ passed: false, order: failure?.order });
  });
});

describe('an order that needs an actor to be late', () => {
  it('is drawn, although even draws of each step would take millions', () => {
    const advance = (count: number): string => '  advance 1ms\n'.repeat(count);
    const text = `iommud.scenario/v1
machine siblings
clock manual
page = alloc 4096
map 00:05.0 0x1000 page 4096
actor driver
${advance(24)}  unmap 00:05.0 0x1000 4096
actor writer
  write 00:05.0 0x1000 "x" => performed
${advance(10)}`;
    const { exact, failure } = explored(text, 100);
    expect(exact).toBe(false);
    expect(failure).toMatchObject({ invariant: 0, text: expect.stringContaining('not-present') });
  });
});

describe('the built-in sets', () => {
  it('are every pair, two of a kind among them, and every triple', () => {
    const all = [...sets()];
    expect(all.filter(({ length }) => length === 2)).toHaveLength(91);
    expect(all.filter(({ length }) => length === 3)).toHaveLength(286);
    expect(new Set(all.map((kinds) => kinds.toSorted().join())).size).toBe(377);
  });

  const PAIRS = [...sets()].filter(({ length }) => length === 2);
  it.each(SETTING_NAMES.flatMap((on) => PAIRS.map((kinds) => [kinds.join('+'), on, kinds] as const)))(
    '%s keeps every invariant: %s',
    (_name, on, kinds) => {
      const { failure, run } = explored(scenarioOf(kinds, on), on === 'plain' ? 6 : 2);
      expect(failure).toBeUndefined();
      expect(run).toBeGreaterThan(1);
    },
  );

  it.each(SETTING_NAMES)('are set up without a refusal: %s', (on) => {
    const [setUp = ''] = scenarioOf(['detach', 'invalidation', 'death'], on).split('\nactor');
    const { done } = runScenario(parseScenario(setUp), { load: NO_FILES });
    const words = done.map(({ outcome }) => outcome.word);
    expect(new Set(words)).toEqual(new Set(['ok', 'performed', 'pending']));
  });

  it.each([
    [['deferred-attach', 'dma'], 'plain', undefined],
    [['deferred-attach', 'dma'], 'nested', 'a function that was attached has nothing deferred'],
    [['unmap', 'dma', 'invalidation'], 'direct-regions', undefined],
    [['unmap', 'dma', 'invalidation'], 'nested', 'what the guest invalidates goes to the sibling too'],
  ] as const)('of %j on %s all orders end alike: %s', (kinds, on, reason) => {
    if (reason === undefined) expect(alikeReason(kinds, on)).toBeUndefined();
    else expect(alikeReason(kinds, on)).toContain(reason);
  });

  const FOUND = { b296ca1fb43a: 20, '1615e8896a8f': 3, '0d5fd7a9323c': 5, fc3523b16d2b: 15, '5474e6e17a26': 12 } as const;
  const SHOWN_BY = {
    b296ca1fb43a: ['reset', 'sibling-reset'],
    '1615e8896a8f': ['reset', 'sibling-reset'],
    '0d5fd7a9323c': ['reset', 'reset'],
    fc3523b16d2b: ['reset', 'pasid-detach'],
    '5474e6e17a26': ['reset', 'detach'],
  } as const;

  it.each(FIX_NAMES)('without fix %s break the invariant that it mended', (fix) => {
    const text = scenarioOf(SHOWN_BY[fix]);
    const { failure } = explored(text, 60, { withoutFixes: [fix] });
    expect(failure?.invariant).toBe(FOUND[fix]);
    const repeated = withOrder(text, failure?.order ?? [], { behaviour: undefined, withoutFixes: [fix] }, 'repeat');
    expect(runScenario(parseScenario(repeated), { load: NO_FILES }).violations.map(({ invariant }) => invariant)).toContain(FOUND[fix]);
  });
});
