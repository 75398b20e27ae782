/** What every act has: its story by the seed, its claims, and how it ends. */
import type { Behaviour, Doors, Line, Stage } from './stage.ts';

export interface Claim {
  readonly text: string;
  readonly holds: boolean;
}
export interface Act {
  readonly title: string;
  readonly behaviour: Behaviour;
  readonly lines: readonly Line[];
  readonly counts: Readonly<Record<string, number>>;
  readonly claims: readonly Claim[];
  readonly traceHash: string;
}

/** What the seed decides: addresses, and times in ms of virtual time. */
export interface Story {
  readonly iova: bigint;
  readonly newIova: bigint;
  /** How long the switch holds the write: past the IOMMU's 1 s timeout, which starts with the unmap. */
  readonly switchMs: number;
  /** When, after the FLR began, process A unmaps: before the function can answer again. */
  readonly unmapMs: number;
}

/** What process A and process B keep in their pages. */
const MINE = "process A's data";
export const THEIRS = "process B's secret";

/** What was to be told and has no record did not happen: that is a claim that does not hold. */
export function end(stage: Stage, title: string, behaviour: Act['behaviour'], claims: readonly Claim[]): Act {
  const missing = stage.missing.map((text) => ({ text: `it happened that ${text}`, holds: false }));
  return { title, behaviour, lines: stage.lines, counts: counts(stage), claims: [...claims, ...missing], traceHash: stage.traceHash };
}

export function storyOf(doors: Doors, seed: number): Story {
  const chance = new doors.base.Prng(seed);
  const page = 0x10 + chance.below(0x1000);
  return {
    iova: BigInt(page) * 0x1000n,
    newIova: BigInt(page + 1 + chance.below(0x100)) * 0x1000n,
    switchMs: 1200 + chance.below(600),
    unmapMs: 5 + chance.below(60),
  };
}

export function prologue(stage: Stage, domain: number, page: bigint, iova: bigint): void {
  stage.map(domain, iova, page);
  const first = stage.startWrite(iova, MINE);
  stage.say(`process A shares its address space with the function; a first write through ATS: ${stage.outcome(first)}`);
}

/** The allocator hands the freed page to the next process that asks. */
export function giveAway(stage: Stage, page: bigint): { readonly reused: boolean; readonly other: bigint } {
  stage.freePage(page);
  const other = stage.allocPage();
  stage.writeText(other, THEIRS);
  stage.say(`the page at 0x${other.toString(16)} is given to process B, which writes "${THEIRS}"`);
  return { reused: other === page, other };
}

function counts(stage: Stage): Record<string, number> {
  return {
    'requests held in the switch': stage.seen('dma-held').length,
    'Invalidate Requests sent': stage.seen('invalidation-sent').length,
    'of these ignored': stage.seen('invalidation-ignored').length,
    'of these completed': stage.seen('invalidation-completed').length,
    'of these timed out': stage.seen('invalidation-timeout').length,
    'translated requests outside every grant': stage.seen('stale-atc').length,
  };
}
