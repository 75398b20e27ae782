/**
 * One telling of a scenario: its actors go on step by step, in whatever order the caller chooses. A step is a statement up to the first step of the
 * machine's at which calls are held, or from one such step to the next.
 */
import type { Command, MachineSpec, StepName } from '../core/machine/index.ts';
import { outcomeOf, differences } from './outcome.ts';
import { Stage, type Done } from './stage.ts';
import type { Scenario, Statement } from './syntax.ts';

/** Where calls are held: what goes between two of the others changes nothing that anybody else could see. */
export const EXPLORED_STEPS: readonly StepName[] = [
  'lock',
  'rid',
  'iotlb',
  'atc-sent',
  'atc-completed',
  'blocked',
  'pasid',
  'group-domain',
];

/** Alarms that may ring until a call that waits is answered. */
const ALARMS_MAX = 64;
const PASS_NS_MAX = 1_000_000_000_000;

interface Runner {
  readonly statements: readonly Statement[];
  next: number;
  /** The call that it waits for; 0: none. */
  token: number;
  /** That call's number among what is held; 0: not known yet. */
  call: number;
  /** Its statement, that is not answered. */
  at: Statement | undefined;
  command: Command | undefined;
}

export class Play {
  readonly stage: Stage;
  readonly #scenario: Scenario;
  readonly #runners: readonly Runner[];
  readonly #known = new Set<number>();
  #hold = 0;

  constructor(scenario: Scenario, spec: MachineSpec, hashed = true) {
    this.#scenario = scenario;
    this.stage = new Stage(spec, hashed);
    this.#runners = scenario.actors.map(({ statements }) => ({
      statements,
      next: 0,
      token: 0,
      call: 0,
      at: undefined,
      command: undefined,
    }));
  }

  setUp(): readonly Done[] {
    const done = this.#scenario.setup.map((statement) => this.stage.perform(statement));
    if (this.#runners.length > 0) this.#hold = this.stage.holdAll(this.#steps());
    return done;
  }

  #steps(): readonly StepName[] {
    const delivers = this.#scenario.actors.some(({ statements }) => statements.some(({ verb }) => verb === 'deliver'));
    return delivers ? [...EXPLORED_STEPS, 'deliver'] : EXPLORED_STEPS;
  }

  /** The actors that can take a step now. */
  choices(): number[] {
    const { machine } = this.stage;
    const choices: number[] = [];
    for (let index = 0; index < this.#runners.length; index++) {
      const runner = this.#runners[index];
      if (runner === undefined) continue;
      if (runner.token !== 0 ? machine.stoppedCall(runner.call) !== undefined : this.#canBegin(runner)) choices.push(index);
    }
    return choices;
  }

  #canBegin({ statements, next }: Runner): boolean {
    const statement = statements[next];
    if (statement === undefined) return false;
    return statement.verb !== 'deliver' || this.stage.machine.stopped().some(({ call }) => call === 'invalidate');
  }

  /** The actor takes one step; returns the statements that have ended with it, of any actor. */
  step(actor: number): readonly Done[] {
    this.stage.trace = [];
    const done: Done[] = [];
    const runner = this.#runners[actor];
    if (runner === undefined) return done;
    if (runner.token !== 0) this.#letGo(runner.call);
    else this.#begin(runner, done);
    this.#note(runner);
    this.#answered(done);
    return done;
  }

  #letGo(call: number): void {
    const held = this.stage.machine.stoppedCall(call);
    if (held !== undefined) this.stage.letGo(held.hold, held.id);
  }

  #begin(runner: Runner, done: Done[]): void {
    const statement = runner.statements[runner.next++];
    if (statement === undefined) return;
    const submitted = statement.started ? undefined : this.stage.submit(statement);
    if (submitted === undefined) {
      done.push(this.stage.perform(statement));
      return;
    }
    runner.at = statement;
    runner.command = submitted.command;
    runner.token = submitted.token;
    runner.call = 0;
  }

  /** A call that has stopped for the first time is the one that was just begun. */
  #note(runner: Runner): void {
    for (const { id, call } of this.stage.machine.stopped()) {
      if (call === 'invalidate' || this.#known.has(id)) continue;
      this.#known.add(id);
      if (runner.call === 0) runner.call = id;
    }
  }

  #answered(done: Done[]): void {
    for (const runner of this.#runners) {
      const { at: statement, command, token } = runner;
      const reply = token === 0 ? undefined : this.stage.replyTo(token);
      if (statement === undefined || reply === undefined) continue;
      const outcome = outcomeOf(reply);
      done.push({ statement, command, outcome, wrong: statement.expect === undefined ? [] : differences(outcome, statement.expect) });
      runner.token = 0;
      runner.at = undefined;
    }
  }

  /** Nobody can take a step, and somebody has not ended: the clock goes to the next alarm. False when that changes nothing. */
  pass(): boolean {
    this.stage.trace = [];
    const { nextAlarmNs } = this.stage.machine.inspect();
    const { nowNs } = this.stage.machine;
    if (nextAlarmNs === undefined || nextAlarmNs - nowNs > PASS_NS_MAX) return false;
    this.stage.advance(nextAlarmNs - nowNs);
    return true;
  }

  /** Something has begun and is not answered, or is still to begin. */
  get unfinished(): boolean {
    return this.#runners.some(({ token, next, statements }) => token !== 0 || next < statements.length);
  }

  /** All that the file has. */
  get statements(): readonly Statement[] {
    const { setup, actors, after } = this.#scenario;
    return [...setup, ...actors.flatMap((actor) => actor.statements), ...after];
  }

  /** The statements that wait for an answer. */
  get waiting(): readonly Statement[] {
    const waiting: Statement[] = [];
    for (const { at } of this.#runners) if (at !== undefined) waiting.push(at);
    return waiting;
  }

  /** Lets everything go that is held, and ends what the actors have left. */
  settle(): readonly Done[] {
    this.stage.trace = [];
    const done: Done[] = [];
    if (this.#hold !== 0) this.stage.letGo(this.#hold, 0);
    this.#hold = 0;
    this.#answered(done);
    for (let rung = 0; this.unfinished && rung < ALARMS_MAX; rung++) {
      for (const runner of this.#runners) {
        while (runner.token === 0 && runner.next < runner.statements.length) {
          this.#begin(runner, done);
          this.#answered(done);
        }
      }
      if (!this.unfinished || !this.pass()) break;
      this.#answered(done);
    }
    return done;
  }

  after(): readonly Done[] {
    return this.#scenario.after.map((statement) => this.stage.perform(statement));
  }
}
