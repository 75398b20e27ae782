/**
 * Looks at a machine after each step of a play, and says which invariant of the reset window is broken (the numbers are those of the conformance
 * tests). What a call has in the middle of its work is not looked at until the group's mutex is free.
 */
import { NO_PASID, formatBdf, join64, type TraceRecord } from '../core/base/index.ts';
import type { InspectedDomain, InspectedFunction, InspectedPasid, Inspection, ModelDma } from '../core/machine/index.ts';
import { ANSWERS } from './answers.ts';
import { countOf, fenced, idOf, isDirectPage, isOpen, leavesOpen, restOf, type Violation } from './at-rest.ts';
import { DomainPages } from './domain-pages.ts';
import { OnTheWay } from './on-the-way.ts';
import type { Play } from './play.ts';
import type { Done } from './stage.ts';
import type { Statement } from './syntax.ts';

const PAGE = 4096n;
const MUST_SUCCEED = new Set(['detach', 'disclaim']);
const QUEUE_MAX = 32;
/** The phase that the trace of a prepare has when its drain's deadline passes. */
const ABORTING = 2;

export class Watch {
  readonly #play: Play;
  #before: Inspection;
  readonly #pages = new DomainPages();
  readonly #onTheWay = new OnTheWay();
  /** By function: the domains that it had since its group was last at rest. */
  readonly #domains = new Map<number, Set<InspectedDomain>>();
  #running: readonly Statement[] = [];
  /** Functions that left an invalidation unanswered: Linux goes on, and what their ATC holds may still be used; `strict` refuses it. */
  readonly #unanswered = new Set<number>();
  readonly #strict: boolean;
  /** The hardware may refuse a move: then a function may be parked on blocking. */
  readonly #refuses: boolean;

  /** Begins after the setup. */
  constructor(play: Play, setUp: readonly Done[]) {
    this.#play = play;
    this.#refuses = play.statements.some(({ verb, args }) => verb === 'arm' && args[1]?.text === 'attach-fails');
    this.#strict = play.stage.machine.spec.behaviour === 'strict';
    this.#before = play.stage.machine.inspect();
    for (const done of setUp) this.#follow(done);
    this.#noteDomains(this.#before);
  }

  /** The first thing that is wrong after a step, in the order of the table of invariants. */
  after(done: readonly Done[]): Violation | undefined {
    const { stage } = this.#play;
    const now = stage.machine.inspect();
    const found =
      this.#onTheWay.after(stage.trace, done, this.#before, now) ??
      this.#traced(stage.trace, now) ??
      this.#answers(done, now) ??
      this.#moved(done, now) ??
      this.#atRest(now) ??
      fromFile(done);
    for (const each of done) this.#follow(each);
    this.#noteDomains(now, true);
    this.#before = now;
    this.#running = this.#play.waiting;
    return found;
  }

  /** What went on in the step: of a function that was in its window before and after, and of pages that it may not reach. */
  #traced(trace: readonly TraceRecord[], now: Inspection): Violation | undefined {
    this.#noteDomains(now);
    for (const { kind, a, b, c } of trace) {
      if (kind === 'invalidation-timeout') this.#unanswered.add(a);
      const fn = now.functions.find(({ bdf }) => bdf === a);
      const was = this.#before.functions.find(({ bdf }) => bdf === a);
      const name = fn === undefined ? '' : formatBdf(fn.bdf);
      if (kind === 'prepare' && b === ABORTING && was?.inFlight === 0)
        return { invariant: 16, text: `the drain of ${name} ran into its deadline, and there was nothing to be drained` };
      const inWindow = fn !== undefined && was !== undefined && fenced(was) && fenced(fn);
      if (inWindow && kind === 'invalidation-sent')
        return { invariant: 15, text: `an ATC invalidation was sent to ${name}, which is blocked` };
      if (inWindow && (kind === 'ats-granted' || (kind === 'dma-performed' && c >= 0 && !leavesOpen(fn, c) && !this.#isLeftOpen(fn)))) {
        return {
          invariant: 17,
          text: `${name} is blocked, and ${kind === 'ats-granted' ? 'was granted a translation' : 'reached memory'}`,
        };
      }
      if (kind === 'dma-performed' && c >= 0 && !this.#mayReach(a, b, c) && !(fn !== undefined && this.#isDirect(fn, c))) {
        return { invariant: 18, text: `${name} reached page 0x${c.toString(16)}, which no domain maps for it any more` };
      }
    }
    return undefined;
  }

  /** Linux goes on where the hardware refuses the move of a PASID, and warns: its requests still reach memory. */
  #isLeftOpen({ pasids }: InspectedFunction): boolean {
    return this.#refuses && pasids.some(isOpen);
  }

  #mayReach(bdf: number, request: number, page: number): boolean {
    if (this.#pages.areUnknown || (!this.#strict && this.#unanswered.has(bdf))) return true;
    const asked = this.#onTheWay.pageOf(request);
    for (const domain of this.#domains.get(bdf) ?? []) if (this.#pages.reach(domain, page, asked)) return true;
    return false;
  }

  /** Direct regions are in the default domain and in the one of its window, and no statement maps them. */
  #isDirect(fn: InspectedFunction, page: number): boolean {
    const domains = this.#domains.get(fn.bdf);
    const may = [fn.group.defaultDomain, fn.windowDomain].some((domain) => domain !== undefined && domains?.has(domain) === true);
    return may && isDirectPage(fn, BigInt(page));
  }

  #answers(done: readonly Done[], now: Inspection): Violation | undefined {
    for (const { statement, command, outcome } of done) {
      if (command?.kind === 'map' && outcome.word === 'EBUSY') return { invariant: 18, text: `map is EBUSY: ${statement.text}` };
      if (command === undefined || !('bdf' in command)) continue;
      const fn = now.functions.find(({ bdf }) => bdf === command.bdf);
      const was = this.#before.functions.find(({ bdf }) => bdf === command.bdf);
      if (fn === undefined || was === undefined) continue;
      if (command.kind === 'model-dma' && command.operation === 'write' && outcome.word === 'performed' && !this.#maps(fn, command)) {
        return { invariant: 18, text: `a write of ${formatBdf(fn.bdf)} was performed where its domain maps nothing: ${statement.text}` };
      }
      // Linux does not look again at what it found without the mutex.
      if (command.kind === 'deferred-attach' && outcome.word === 'EBUSY' && this.#strict && !fn.attachDeferred)
        return { invariant: 42, text: `deferred attach of ${formatBdf(fn.bdf)} is EBUSY, and nothing is deferred any more` };
      const found = ANSWERS[command.kind]?.(outcome, fn, was, command);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whether the function's domain has a page there; one that no statement mapped anything in is not known. */
  #maps(fn: InspectedFunction, { pasid, iovaLow, iovaHigh }: ModelDma): boolean {
    const { physical, windowDomain, group } = fn;
    if (pasid !== NO_PASID) return true;
    const page = join64(iovaLow, iovaHigh) / PAGE;
    if (fenced(fn) && physical.id === windowDomain.id) return leavesOpen(fn, Number(page));
    return this.#pages.mayMap(physical, page) || (physical.id === group.defaultDomain?.id && isDirectPage(fn, page));
  }

  /** What a window keeps from being changed by who may be refused. */
  #moved(done: readonly Done[], now: Inspection): Violation | undefined {
    for (const fn of now.functions) {
      const was = this.#before.functions.find(({ bdf }) => bdf === fn.bdf);
      if (was === undefined) continue;
      const { group, pasids } = fn;
      const opened = was.blocked && fn.blocked ? pasids.find((entry) => isOpen(entry) && !wasOpen(was, entry)) : undefined;
      if (opened !== undefined) {
        return {
          invariant: 3,
          text: `${formatBdf(was.bdf)} is blocked, and its PASID ${opened.pasid} has got domain ${opened.physical?.id}`,
        };
      }
      const name = `group ${group.id}`;
      const renamed = was.group.domain?.id !== group.domain?.id;
      if (renamed && !fn.blocked && !fn.attachDeferred && ![group.domain?.id, group.blockingDomain.id].includes(fn.physical.id)) {
        return { invariant: 12, text: `${name} has domain ${idOf(group.domain)} before ${formatBdf(fn.bdf)} has left ${fn.physical.id}` };
      }
      if (was.group.recoveryCount === 0 || group.recoveryCount === 0) continue;
      if (renamed && !this.#mustSucceed(done)) {
        return { invariant: 9, text: `${name} got another domain in a reset window` };
      }
      const added = pasids.find(({ pasid, logical }) => logical !== undefined && domainOf(was, pasid) !== logical.id);
      if (added !== undefined) return { invariant: 10, text: `${name} got PASID ${added.pasid} in a reset window` };
      if (!was.group.owned && group.owned) return { invariant: 43, text: `${name} was claimed in a reset window` };
    }
    return undefined;
  }

  #mustSucceed(done: readonly Done[]): boolean {
    return this.#running.some(({ verb }) => MUST_SUCCEED.has(verb)) || done.some(({ statement }) => MUST_SUCCEED.has(statement.verb));
  }

  #atRest({ functions }: Inspection): Violation | undefined {
    for (const fn of functions) {
      if (fn.itags > QUEUE_MAX) return { invariant: 35, text: `${formatBdf(fn.bdf)} has ${fn.itags} invalidations in flight` };
      if (fn.group.busy) continue;
      const found = restOf(fn, this.#refuses) ?? countOf(fn.group);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** After the last statement: whether everything was answered. */
  unanswered(): Violation | undefined {
    const [statement] = this.#play.waiting;
    return statement === undefined ? undefined : { invariant: 0, text: `line ${statement.line} is never answered: ${statement.text}` };
  }

  /** Adds the domains that a function has now to those that it had; once its group rests it has only these. */
  #noteDomains(now: Inspection, rested = false): void {
    for (const { bdf, physical, pasids, group } of now.functions) {
      let domains = this.#domains.get(bdf);
      if (domains === undefined) this.#domains.set(bdf, (domains = new Set()));
      else if (rested && !group.busy) domains.clear();
      domains.add(physical);
      for (const pasid of pasids) if (pasid.physical !== undefined) domains.add(pasid.physical);
    }
  }

  /** Keeps the pages of each domain as map and unmap have them. */
  #follow({ command, outcome }: Done): void {
    if (outcome.word !== 'ok' || command === undefined) return;
    if (command.kind === 'memory-write') this.#pages.written();
    if ((command.kind !== 'map' && command.kind !== 'unmap') || command.iova === undefined) return;
    const { target, iova, bytes } = command;
    const domain = 'domain' in target ? target.domain : this.#before.functions.find(({ bdf }) => bdf === target.bdf)?.group.domain?.id;
    if (domain === undefined) return;
    if (command.kind === 'map') this.#pages.map(domain, iova, command.address, bytes);
    else this.#pages.unmap(domain, iova, BigInt(outcome.fields['bytes'] ?? 0));
  }
}

function domainOf({ pasids }: InspectedFunction, pasid: number): number | undefined {
  return pasids.find((entry) => entry.pasid === pasid)?.logical?.id;
}

function wasOpen({ pasids }: InspectedFunction, { pasid }: InspectedPasid): boolean {
  return pasids.some((entry) => entry.pasid === pasid && isOpen(entry));
}

function fromFile(done: readonly Done[]): Violation | undefined {
  const wrong = done.find((each) => each.wrong.length > 0);
  return wrong === undefined ? undefined : { invariant: 0, text: `line ${wrong.statement.line}: ${wrong.wrong.join('; ')}` };
}
