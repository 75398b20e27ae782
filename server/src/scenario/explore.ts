import { Prng } from '../core/base/index.ts';
import type { MachineSpec } from '../core/machine/index.ts';
/**
 * Every order in which the actors of a scenario can take their steps, each told from the start to a machine of its own, with a look at the invariants
 * after each step. Where there are too many orders, seeded samples of them.
 */
import type { Violation } from './at-rest.ts';
import { Play } from './play.ts';
import type { Done } from './stage.ts';
import type { Scenario } from './syntax.ts';
import { Watch } from './watch.ts';

export interface ExploreOptions {
  /** Orders that are run at most; with more possible, so many are drawn. */
  readonly ordersMax: number;
  readonly seed: number;
}

export interface Failure extends Violation {
  /** The actor of each step, up to the one that broke it. */
  readonly order: readonly string[];
}

export interface Explored {
  /** Orders that are possible: counted when all were run, else estimated. */
  readonly possible: number;
  readonly exact: boolean;
  readonly run: number;
  /** Orders in which an invariant was broken. */
  readonly violations: number;
  /** The shortest of them that was found. */
  readonly failure: Failure | undefined;
  /** Ways in which the orders ended, each as text. */
  readonly endStates: ReadonlySet<string>;
}

interface Told {
  /** The actor of each step, and who else could have taken it. */
  readonly path: readonly { readonly taken: number; readonly choices: readonly number[] }[];
  readonly violation: Violation | undefined;
  readonly end: string;
}

type Choose = (choices: readonly number[], depth: number) => number;

/** Actors of a drawn order that fall behind all others, in turn, at a step that is drawn: more of them, and a rare order is found less often. */
const FALLS_MAX = 3;
/** Orders that are drawn evenly to estimate how many there are: Knuth's estimate, the mean of the products of the numbers of choices. */
const PROBES = 24;
/** Orders that are run at most to shorten one that fails. */
const SHORTER_TRIES = 1000;

/** How many orders there are, about. */
export function estimateOrders(scenario: Scenario, spec: MachineSpec, seed: number): number {
  const random = new Prng(seed);
  let products = 0;
  for (let i = 0; i < PROBES; i++) products += ordersLike(tell(scenario, spec, drawnBy(random)));
  return products / PROBES;
}

function ordersLike({ path }: Told): number {
  return path.reduce((product, { choices }) => product * choices.length, 1);
}

export function explore(scenario: Scenario, spec: MachineSpec, { ordersMax, seed }: ExploreOptions): Explored {
  const random = new Prng(seed);
  const tally = new Tally(scenario);
  let products = 0;
  let steps = 0;
  // Two and two: to draw each step evenly finds what goes wrong where actors keep pace, and next to never what needs one that is late.
  const drawTwo = (): number => {
    const told = tally.add(tell(scenario, spec, drawnBy(random)));
    steps = Math.max(steps, told.path.length);
    tally.add(tell(scenario, spec, byPriority(random, scenario.actors.length, steps)));
    return ordersLike(told);
  };
  for (let i = 0; i < PROBES; i++) products += drawTwo();
  const estimate = products / PROBES;
  if (estimate > ordersMax * 2) {
    while (tally.run < ordersMax) drawTwo();
  } else {
    // What was drawn comes again.
    tally.restart();
    let exact = true;
    for (let plan: readonly number[] | undefined = []; plan !== undefined && exact; plan = exact ? tally.next : undefined) {
      tally.add(tell(scenario, spec, following(plan)));
      exact = tally.run < ordersMax * 4 || tally.next === undefined;
    }
    if (exact) return tally.result(tally.run, true, shorter(scenario, spec, tally.shortest));
  }
  return tally.result(Math.max(estimate, tally.run), false, shorter(scenario, spec, tally.shortest));
}

class Tally {
  run = 0;
  violations = 0;
  shortest: Told | undefined;
  next: readonly number[] | undefined;
  readonly #ends = new Set<string>();
  readonly #names: readonly string[];

  constructor({ actors }: Scenario) {
    this.#names = actors.map(({ name }) => name);
  }

  restart(): void {
    this.run = 0;
    this.violations = 0;
  }

  add(told: Told): Told {
    this.run++;
    this.next = nextPlan(told);
    if (told.violation === undefined) {
      this.#ends.add(told.end);
    } else {
      this.violations++;
      if (this.shortest === undefined || told.path.length < this.shortest.path.length) this.shortest = told;
    }
    return told;
  }

  result(possible: number, exact: boolean, shortest: Told | undefined): Explored {
    const { run, violations } = this;
    const failure =
      shortest?.violation === undefined
        ? undefined
        : { ...shortest.violation, order: shortest.path.map(({ taken }) => this.#names[taken] ?? '') };
    return { possible, exact, run, violations, failure, endStates: this.#ends };
  }
}

function drawnBy(random: Prng): Choose {
  return (choices) => choices[random.below(choices.length)] ?? 0;
}

/**
 * Whoever has the highest priority goes on, and at some steps falls behind all others: each order that differs in few such places is drawn often
 * enough to be found (Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010).
 */
function byPriority(random: Prng, actors: number, steps: number): Choose {
  const priority = Array.from({ length: actors }, () => random.below(1 << 20));
  const falls = new Set(Array.from({ length: random.below(FALLS_MAX + 1) }, () => random.below(Math.max(1, steps))));
  return (choices, depth) => {
    const highest = choices.reduce((best, actor) => ((priority[actor] ?? 0) > (priority[best] ?? 0) ? actor : best));
    if (falls.has(depth)) priority[highest] = -1 - depth;
    return highest;
  };
}

function following(plan: readonly number[]): Choose {
  return (choices, depth) => plan[depth] ?? choices[0] ?? 0;
}

/** The path after this one, depth first; undefined when it was the last. */
function nextPlan({ path }: Told): readonly number[] | undefined {
  const depth = path.findLastIndex(({ taken, choices }) => taken !== choices.at(-1));
  const step = path[depth];
  const next = step?.choices[step.choices.indexOf(step.taken) + 1];
  if (next !== undefined) return [...path.slice(0, depth).map(({ taken }) => taken), next];
  return undefined;
}

/** One order, told from the start. With `depthMax` it ends there, and what comes after is not looked at. */
function tell(scenario: Scenario, spec: MachineSpec, choose: Choose, depthMax = Infinity): Told {
  const play = new Play(scenario, spec, false);
  const watch = new Watch(play, play.setUp());
  const path: { taken: number; choices: readonly number[] }[] = [];
  const words: string[] = [];
  for (;;) {
    const choices = play.choices();
    if (choices.length === 0) {
      if (!play.unfinished || !play.pass()) break;
      const violation = watch.after([]);
      if (violation !== undefined) return { path, violation, end: '' };
      continue;
    }
    if (path.length >= depthMax) return { path, violation: undefined, end: '' };
    const taken = choose(choices, path.length);
    path.push({ taken, choices });
    const done = play.step(taken);
    for (const each of done) words.push(said(each));
    const violation = watch.after(done);
    if (violation !== undefined) return { path, violation, end: '' };
  }
  const settled = play.settle();
  words.push(...settled.map(said));
  const first = watch.after(settled) ?? watch.unanswered();
  const after = first === undefined ? play.after() : [];
  words.push(...after.map(said));
  const violation = first ?? watch.after(after);
  return { path, violation, end: violation === undefined ? endOf(play, words) : '' };
}

/** With the bytes that were moved, where some were. */
function said({ statement, command, outcome: { word, fields } }: Done): string {
  const moved = command?.kind === 'model-dma' || command?.kind === 'memory-read';
  return moved ? `${statement.line} ${word} ${fields['data'] ?? fields['bytes']}` : `${statement.line} ${word}`;
}

/** What a host can tell two ends apart by: every answer, and what every function and group is in. */
function endOf(play: Play, words: readonly string[]): string {
  const { functions } = play.stage.machine.inspect();
  const state = functions.map(({ blocked, resetDepth, physical, pasids, atsEnabled, group }) => [
    blocked,
    resetDepth,
    physical.id,
    pasids.map((entry) => [entry.pasid, entry.physical?.id]),
    atsEnabled,
    group.domain?.id,
    group.owned,
  ]);
  return JSON.stringify([words.toSorted(), play.stage.background(), state]);
}

/** Leaves out one step after the other for as long as what is left still breaks an invariant, as far as the tries go. */
function shorter(scenario: Scenario, spec: MachineSpec, found: Told | undefined): Told | undefined {
  let best = found;
  let tries = 0;
  for (let at = 0; best !== undefined && at < best.path.length - 1 && tries < SHORTER_TRIES; tries++) {
    const order = best.path.map(({ taken }) => taken);
    const told = tell(scenario, spec, asNearAs(order.toSpliced(at, 1)), best.path.length - 1);
    if (told.violation !== undefined && told.path.length < best.path.length) {
      best = told;
      at = 0;
    } else {
      at++;
    }
  }
  return best;
}

/** The actors in this order; one that cannot take a step is left out. */
function asNearAs(order: readonly number[]): Choose {
  let next = 0;
  return (choices) => {
    while (next < order.length) {
      const wanted = order[next++] ?? 0;
      if (choices.includes(wanted)) return wanted;
    }
    return choices[0] ?? 0;
  };
}
