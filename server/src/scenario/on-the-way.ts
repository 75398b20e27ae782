/** Requests of functions on their way to memory: whose statement each is, and where one went on that had no way left (invariant 17). */
import { NO_PASID, formatBdf, type TraceRecord } from '../core/base/index.ts';
import type { InspectedFunction, Inspection, ModelDma } from '../core/machine/index.ts';
import { leavesOpen, type Violation } from './at-rest.ts';
import type { Done } from './stage.ts';

export class OnTheWay {
  /** By number of the request: the IOVA's page. */
  readonly #pages = new Map<number, number>();
  /** The statements of those that a step has begun. */
  readonly #commands = new Map<number, ModelDma>();

  /** The page that the request named, where it was seen to be issued. */
  pageOf(request: number): number | undefined {
    return this.#pages.get(request);
  }

  /** What the trace of a step tells of requests of functions that had no way before the step and have none after it. */
  after(trace: readonly TraceRecord[], done: readonly Done[], before: Inspection, now: Inspection): Violation | undefined {
    const started = commandOf(done);
    for (const record of trace) {
      const { kind, a, b, c } = record;
      if (kind !== 'dma-issued' && kind !== 'dma-translated' && kind !== 'ats-granted') continue;
      if (kind === 'dma-issued') {
        this.#pages.set(b, c);
        if (started?.bdf === a) this.#commands.set(b, started);
      }
      const fn = now.functions.find(({ bdf }) => bdf === a);
      const was = before.functions.find(({ bdf }) => bdf === a);
      if (fn === undefined || was === undefined) continue;
      const text = this.#wrong(record, was, fn);
      if (text !== undefined) return { invariant: 17, text: `${formatBdf(fn.bdf)} ${text}` };
    }
    return undefined;
  }

  #wrong({ kind, b, c }: TraceRecord, was: InspectedFunction, fn: InspectedFunction): string | undefined {
    const command = this.#commands.get(b);
    if (kind === 'ats-granted') return was.atcFenced && fn.atcFenced ? 'was granted a translation behind its fence' : undefined;
    if (kind === 'dma-issued') {
      if (was.gateOpen || fn.gateOpen || (command?.translated !== true && leavesOpen(fn, c))) return undefined;
      return `has issued a request for page 0x${c.toString(16)} through its closed gate`;
    }
    if (command?.translated !== true || !isShut(was, command) || !isShut(fn, command)) return undefined;
    return 'made a translated request that its context does not allow, and it was let through';
  }
}

/** The statement that a step has begun. Several at once are told apart by nothing. */
function commandOf(done: readonly Done[]): ModelDma | undefined {
  const commands = done.flatMap(({ command }) => (command?.kind === 'model-dma' ? [command] : []));
  return commands.length === 1 ? commands[0] : undefined;
}

/** The context of the request honours no ATS: it blocks, or a fence or a timeout has ended what was granted. */
function isShut({ atcFenced, translatedRefused, physical, pasids }: InspectedFunction, { pasid }: ModelDma): boolean {
  const domain = pasid === NO_PASID ? physical : pasids.find((entry) => entry.pasid === pasid)?.physical;
  return atcFenced || translatedRefused || domain?.type === 'blocked';
}
