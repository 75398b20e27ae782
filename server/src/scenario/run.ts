import { ModelError, Prng } from '../core/base/index.ts';
/** Runs a scenario from its first line to its last. */
import type { Violation } from './at-rest.ts';
import { machineOf, type LoadFile, type Overrides } from './machine-of.ts';
import { Play } from './play.ts';
import type { Done } from './stage.ts';
import type { Scenario } from './syntax.ts';
import { Watch } from './watch.ts';

export interface RunResult {
  readonly title: string;
  readonly behaviour: string;
  readonly seed: number;
  readonly done: readonly Done[];
  /** Which actor took each step. */
  readonly order: readonly string[];
  readonly traceHash: string;
  /** Invariants that were broken while actors were at work, in the order in which that was seen. */
  readonly violations: readonly Violation[];
  readonly passed: boolean;
}

export interface RunOptions extends Overrides {
  readonly load: LoadFile;
  /** Draws the order of the actors from the seed, where the file has none. */
  readonly shuffle?: boolean;
}

/** Stops at nothing: what is wrong is in the result. Throws {@link ModelError} EINVAL for what cannot be read. */
export function runScenario(scenario: Scenario, options: RunOptions): RunResult {
  const spec = machineOf(scenario, options, options.load);
  const play = new Play(scenario, spec);
  const done: Done[] = [...play.setUp()];
  const order: string[] = [];
  const watch = new Watch(play, done);
  const violations: Violation[] = [];
  const look = (ended: readonly Done[]): void => {
    done.push(...ended);
    const violation = watch.after(ended);
    // What the file expects otherwise is said with its line already.
    if (violation !== undefined && violation.invariant > 0) violations.push(violation);
  };
  if (scenario.actors.length > 0) {
    const random = new Prng(spec.seed);
    const planned = [...(scenario.order ?? [])];
    for (let choices = play.choices(); choices.length > 0 || (play.unfinished && play.pass()); choices = play.choices()) {
      if (choices.length === 0) {
        look([]);
        continue;
      }
      const name = planned.shift();
      const wanted = name === undefined ? undefined : scenario.actors.findIndex((actor) => actor.name === name);
      if (wanted !== undefined && !choices.includes(wanted)) {
        throw new ModelError(
          'EINVAL',
          `the order wants a step of "${name}", which waits or has ended, after ${order.length} steps`,
          'order',
        );
      }
      const drawn = options.shuffle === true ? choices[random.below(choices.length)] : choices[0];
      const next = wanted ?? drawn ?? 0;
      order.push(scenario.actors[next]?.name ?? '');
      look(play.step(next));
    }
    look(play.settle());
    const unanswered = watch.unanswered();
    if (unanswered !== undefined) violations.push(unanswered);
  }
  done.push(...play.after());
  return {
    title: scenario.title,
    behaviour: spec.behaviour,
    seed: spec.seed,
    done,
    order,
    traceHash: play.stage.machine.traceHash,
    violations,
    passed: violations.length === 0 && done.every(({ wrong }) => wrong.length === 0),
  };
}
