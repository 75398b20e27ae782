/** What one worker of `iommud explore` is asked, and what it answers. */
import type { Behaviour, Fix, ScenarioRoom } from './scenario-room.ts';

export interface Job {
  /** Names the set. */
  readonly name: string;
  readonly text: string;
  /** Undefined: only estimate how many orders there are. */
  readonly ordersMax: number | undefined;
  readonly seed: number;
  readonly behaviour: Behaviour | undefined;
  readonly withoutFixes: readonly Fix[] | undefined;
  /** Topology documents that the scenario names, by path. */
  readonly files: Readonly<Record<string, string>>;
}

export interface JobResult {
  readonly name: string;
  readonly text: string;
  readonly estimate: number;
  readonly explored: ReturnType<ScenarioRoom['explore']> | undefined;
  readonly ms: number;
}

export function runJob(room: ScenarioRoom, job: Job): JobResult {
  const { name, text, ordersMax, seed, files } = job;
  const started = performance.now();
  const scenario = room.parseScenario(text);
  const spec = room.machineOf(scenario, { behaviour: job.behaviour, withoutFixes: job.withoutFixes }, (path) => files[path] ?? '');
  const explored = ordersMax === undefined ? undefined : room.explore(scenario, spec, { ordersMax, seed });
  const estimate = explored?.possible ?? room.estimateOrders(scenario, spec, seed);
  return { name, text, estimate, explored, ms: performance.now() - started };
}
