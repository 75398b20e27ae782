/** How the probe moves data: untranslated, or by way of its own ATC, with page requests for what is missing. */
import { IommudError, type DmaResult, type Invalidation, type InvalidationAnswer, type Outcome, type RunningFunction } from 'iommud';
import { Atc, type Place, type Requester } from './atc.ts';

const PAGE = 4096n;
/** Answers of success to page requests after which no page more is there; then the move ends where it ends. */
const FRUITLESS_MAX = 3;

type Fn = Pick<RunningFunction<unknown>, 'dma' | 'ats' | 'run'>;

export interface Move extends Requester {
  readonly iova: bigint;
  readonly bytes: number;
  /** What is written; undefined: it reads. */
  readonly data?: Uint8Array | undefined;
  /** With a PASID, of a read: it asks to execute. */
  readonly execute?: boolean | undefined;
  readonly translated?: boolean;
  /** With `translated`. */
  readonly pageRequests?: boolean;
}

/** Bytes that took effect, from the first on; of a read, those. */
export interface Moved {
  readonly outcome: Outcome;
  readonly bytes: number;
  readonly data: Uint8Array | undefined;
}

export class Mover {
  readonly #atc = new Atc();
  /** Reads that use translations of the ATC: an Invalidate Request is not completed before they are (PCIe Base r6.0 §10.3.1). */
  readonly #reading = new Set<Promise<unknown>>();

  async move(fn: Fn, move: Move): Promise<Moved> {
    if (move.translated !== true) return this.#part(fn, move, move.iova, 0, move.bytes, false);
    if (move.pageRequests === true) await this.#requestMissing(fn, move);
    const data = move.data === undefined ? new Uint8Array(move.bytes) : undefined;
    let done = 0;
    let outcome: Outcome = 'performed';
    while (outcome === 'performed' && done < move.bytes) {
      const place = await this.translated(fn, move, move.iova + BigInt(done));
      if (typeof place === 'string') {
        outcome = place;
        break;
      }
      const bytes = Number(place.bytes < BigInt(move.bytes - done) ? place.bytes : BigInt(move.bytes - done));
      const part = await this.#part(fn, move, place.address, done, bytes, place.untranslated !== true);
      data?.set(part.data ?? [], done);
      done += part.bytes;
      outcome = part.outcome;
    }
    return { outcome, bytes: done, data: data?.subarray(0, done) };
  }

  /** Forgets what is cached of the range. What reads there yet has its completion behind it. */
  invalidate(fn: Fn, invalidation: Invalidation): InvalidationAnswer {
    this.#atc.invalidate(invalidation);
    if (this.#reading.size === 0) return undefined;
    const reading = [...this.#reading];
    void fn.run(async (inLife) => {
      await Promise.all(reading);
      await inLife.ats.complete(invalidation.itag);
    });
    return 'later';
  }

  /** `bytes` of the move from `done` on, at this address. */
  async #part(
    fn: Fn,
    { data, execute, ...requester }: Move,
    address: bigint,
    done: number,
    bytes: number,
    translated: boolean,
  ): Promise<Moved> {
    const options = { translated, ...termsOf(requester) };
    const operation =
      data === undefined
        ? fn.dma.read(address, bytes, execute === undefined ? options : { ...options, execute })
        : fn.dma.write(address, data.subarray(done, done + bytes), options);
    const ended = operation.then(movedOf, refused);
    if (data !== undefined || !translated) return ended;
    const reading = ended.then(
      () => undefined,
      () => undefined,
    );
    this.#reading.add(reading);
    void reading.then(() => this.#reading.delete(reading));
    return ended;
  }

  /** Where an address of the move leads, by the ATC or a translation request that fills it; or why nowhere. */
  async translated(
    fn: Fn,
    { data, execute, ...requester }: Pick<Move, 'data' | 'execute' | keyof Requester>,
    iova: bigint,
  ): Promise<(Place & { readonly untranslated?: boolean }) | Outcome> {
    const access = data !== undefined ? 'w' : execute === true ? 'x' : 'r';
    const cached = this.#atc.lookup(requester, iova, access);
    if (cached !== undefined) return cached;
    for (;;) {
      const write = access === 'w';
      const asked = { write, ...(execute === undefined ? {} : { execute }), ...termsOf(requester) };
      const { outcome, grants = [], overtaken } = await fn.ats.translate(iova, asked);
      if (outcome !== 'performed') return outcome;
      // An Invalidate Request for it came before its answer: it is not to be used.
      if (overtaken) continue;
      const [grant] = grants;
      if (grant === undefined || !grant.access.includes(access)) return 'no-access';
      const within = iova & (grant.bytes - 1n);
      if (grant.untranslatedOnly === true) return { address: iova, bytes: grant.bytes - within, untranslated: true };
      this.#atc.install(requester, iova, grants);
      return { address: grant.address + within, bytes: grant.bytes - within };
    }
  }

  /** Translation requests for all of its pages, and page requests for those that are missing, until none is or the answer says that none will come. */
  async #requestMissing(fn: Fn, move: Move): Promise<void> {
    let before = Infinity;
    for (let fruitless = 0; fruitless < FRUITLESS_MAX;) {
      const missing = await this.#missingPages(fn, move);
      if (missing.length === 0) return;
      fruitless = missing.length < before ? 0 : fruitless + 1;
      before = missing.length;
      if (!(await requested(fn, missing, move))) return;
    }
  }

  async #missingPages(fn: Fn, move: Move): Promise<readonly bigint[]> {
    const missing: bigint[] = [];
    const end = move.iova + BigInt(move.bytes);
    for (let page = move.iova & ~(PAGE - 1n); page < end; page += PAGE) {
      const place = await this.translated(fn, move, page);
      if (place === 'no-access') missing.push(page);
      else if (typeof place === 'string') return [];
    }
    return missing;
  }
}

/** As options of a call, which have what is there only. */
function termsOf({ pasid, privileged }: Requester): { readonly pasid?: number; readonly privileged?: boolean } {
  return { ...(pasid === undefined ? {} : { pasid }), ...(privileged === undefined ? {} : { privileged }) };
}

/** Requests these pages in one group; true where the answer is that they may be there now. */
async function requested(fn: Fn, pages: readonly bigint[], { data, ...requester }: Move): Promise<boolean> {
  const terms = { access: data === undefined ? 'r' : 'w', ...termsOf(requester) } as const;
  let group: number | undefined;
  try {
    for (const [index, run] of runsOf(pages).entries()) {
      const last = index === runsOf(pages).length - 1;
      const asked = await fn.dma.requestPages(run.first, { ...terms, pages: run.pages, last, ...(group === undefined ? {} : { group }) });
      group = asked.group;
      if (last) return asked.answer === 'success';
    }
  } catch (error) {
    // It has no page requests, or no more of them.
    if (!(error instanceof IommudError && (error.code === 'EAGAIN' || error.code === 'EOPNOTSUPP'))) throw error;
  }
  return false;
}

/** Pages that follow each other. */
function runsOf(pages: readonly bigint[]): readonly { readonly first: bigint; readonly pages: number }[] {
  const runs: { first: bigint; pages: number }[] = [];
  for (const page of pages) {
    const run = runs.at(-1);
    if (run !== undefined && page === run.first + BigInt(run.pages) * PAGE) run.pages++;
    else runs.push({ first: page, pages: 1 });
  }
  return runs;
}

function movedOf({ outcome, bytes, data }: DmaResult): Moved {
  return { outcome, bytes, data: data?.subarray(0, bytes) };
}

/** One that the machine refused, for the ledger is full, was never issued. */
function refused(error: unknown): Moved {
  if (error instanceof IommudError && error.code === 'EAGAIN') return { outcome: 'aborted', bytes: 0, data: undefined };
  throw error;
}
