/**
 * The acts. Each runs the same story on a machine of its own, says what it sees as it sees it, and ends in claims that are checked
 * against the machine: a claim that does not hold fails the demo.
 */
import { Stage, type Doors, type Line } from './stage.ts';

export interface Claim {
  readonly text: string;
  readonly holds: boolean;
}
export interface Act {
  readonly title: string;
  readonly behaviour: 'strict' | 'linux-7.1';
  readonly lines: readonly Line[];
  readonly counts: Readonly<Record<string, number>>;
  readonly claims: readonly Claim[];
  readonly traceHash: string;
}

/** What the seed decides: addresses, and times in ms of virtual time. */
interface Story {
  readonly iova: bigint;
  readonly newIova: bigint;
  /** How long the switch holds the write: past the IOMMU's 1 s timeout, which starts with the unmap. */
  readonly switchMs: number;
  /** When, after the FLR began, process A unmaps: before the function can answer again. */
  readonly unmapMs: number;
}

const FLR_MS = 100;
const TIMEOUT_MS = 1000;
const MINE = "process A's data";
const THEIRS = "process B's secret";
const LATE = 'a late write';
const AFTER = 'back to work';

/** Linux before the window existed: bus mastering off, pending wait, FLR. */
export function withoutWindow(doors: Doors, seed: number): Act {
  const { iova, switchMs, unmapMs } = storyOf(doors, seed);
  const stage = new Stage(doors, 'linux-7.1', seed);
  const domain = stage.shareAddressSpace();
  const page = stage.allocPage();
  prologue(stage, domain, page, iova);
  const late = stage.startWrite(iova, LATE, { hold: 'issued' });
  stage.say('the function issues a posted write with a translated address; a switch holds it');
  const reset = stage.startReset(false);
  stage.say('reset without a window: bus mastering off; no Transactions Pending, for posted writes set none; FLR');
  stage.passTo(unmapMs);
  const unmap = stage.startUnmap(domain, iova);
  stage.say('process A unmaps the page; the IOMMU sends an Invalidate Request, and the resetting function ignores it');
  stage.passTo(FLR_MS + unmapMs);
  stage.say(`FLR is over (reset: ${stage.reply(reset)?.kind ?? 'waiting'}); the invalidation is still unanswered`);
  stage.passTo(TIMEOUT_MS + unmapMs);
  const unmapped = stage.reply(unmap);
  const timedOut = unmapped?.kind === 'unmap' ? unmapped.timedOut : 0;
  stage.say(`unmap succeeds as in Linux, with ${timedOut} invalidation timed out; the page is free`);
  const { reused, other } = giveAway(stage, page);
  stage.passTo(switchMs);
  const before = stage.readText(other, THEIRS.length);
  stage.releaseHeld();
  const after = stage.readText(other, THEIRS.length);
  stage.say(`the switch lets the write go: process B's page now begins "${after}"`);
  return {
    title: 'Without the window',
    behaviour: 'linux-7.1',
    lines: stage.lines,
    counts: counts(stage),
    claims: [
      { text: 'an Invalidate Request to the resetting function was ignored', holds: stage.seen('invalidation-ignored').length === 1 },
      { text: 'it timed out after 1 s, and unmap succeeded', holds: timedOut === 1 },
      { text: "process A's page was given to process B", holds: reused },
      {
        text: "the held write landed in process B's page",
        holds: before === THEIRS && after.startsWith(LATE) && stage.outcome(late) === 'performed',
      },
      { text: 'the detector called it stale-atc', holds: stage.seen('stale-atc').length === 1 },
    ],
    traceHash: stage.traceHash,
  };
}

/** The same story with reset-prepare and reset-done round the FLR. */
export function withWindow(doors: Doors, seed: number): Act {
  const { iova, newIova, switchMs, unmapMs } = storyOf(doors, seed);
  const stage = new Stage(doors, 'strict', seed);
  const domain = stage.shareAddressSpace();
  const page = stage.allocPage();
  prologue(stage, domain, page, iova);
  const late = stage.startWrite(iova, LATE, { hold: 'issued' });
  stage.say('the function issues a posted write with a translated address; a switch holds it');
  const reset = stage.startReset(true);
  stage.say('reset with a window: bus mastering off; prepare closes the gate and drains what is in flight');
  stage.passTo(switchMs);
  stage.releaseHeld();
  const landed = stage.readText(page, LATE.length);
  stage.say(`the switch lets the write go: it lands while the page is process A's ("${landed}")`);
  stage.say('behind it, the whole ATC is invalidated and the function answers; then it is blocked, and the FLR begins');
  const refused = stage.startWrite(iova, 'in the window');
  stage.passTo(switchMs + unmapMs);
  const unmap = stage.reply(stage.startUnmap(domain, iova));
  stage.say('process A unmaps the page: a blocked function is sent no Invalidate Request, and unmap returns at once');
  const { reused, other } = giveAway(stage, page);
  const fresh = stage.allocPage();
  stage.map(domain, newIova, fresh);
  stage.say(`process A maps another page at IOVA 0x${newIova.toString(16)}, inside the window`);
  stage.passTo(switchMs + FLR_MS + unmapMs);
  const report = stage.reply(reset);
  stage.say(`FLR is over (reset: ${report?.kind ?? 'waiting'}): translation is back with the mappings that are current now`);
  const old = stage.startWrite(iova, 'the old address');
  const again = stage.startWrite(newIova, AFTER);
  stage.say(`a write to the old address: ${stage.outcome(old)}; to the new one: ${stage.outcome(again)}`);
  const timedOut = unmap?.kind === 'unmap' ? unmap.timedOut : -1;
  return {
    title: 'With prepare and done',
    behaviour: 'strict',
    lines: stage.lines,
    counts: counts(stage),
    claims: [
      { text: "the held write landed while the page was process A's", holds: landed === LATE && stage.outcome(late) === 'performed' },
      { text: 'the whole-ATC invalidation completed behind it, and before the FLR', holds: inOrder(stage) },
      { text: 'no invalidation timed out', holds: timedOut === 0 && stage.seen('invalidation-timeout').length === 0 },
      { text: 'nothing landed in the window', holds: landedInWindow(stage) === 0 && stage.outcome(refused) === 'gate-closed' },
      { text: "process A's page went to process B, whose data is whole", holds: reused && stage.readText(other, THEIRS.length) === THEIRS },
      {
        text: 'afterwards translation is back with the current mappings',
        holds: report?.kind === 'reset' && stage.outcome(old) === 'no-access' && stage.readText(fresh, AFTER.length) === AFTER,
      },
    ],
    traceHash: stage.traceHash,
  };
}

/** A function whose ATC survives its reset: not compliant (PCIe §6.6.2, §10.3.7). With and without the window. */
export function atcSurvives(doors: Doors, seed: number, window: boolean): Act {
  const { iova, unmapMs } = storyOf(doors, seed);
  const stage = new Stage(doors, 'linux-7.1', seed);
  stage.arm('atc-survives-reset');
  const domain = stage.shareAddressSpace();
  const page = stage.allocPage();
  prologue(stage, domain, page, iova);
  stage.startReset(window);
  stage.say(`reset ${window ? 'with' : 'without'} a window, of a function that keeps its ATC through it: NOT COMPLIANT`);
  stage.passTo(unmapMs);
  const unmap = stage.startUnmap(domain, iova);
  stage.passTo(TIMEOUT_MS + FLR_MS);
  const reply = stage.reply(unmap);
  const timedOut = reply?.kind === 'unmap' ? reply.timedOut : -1;
  stage.say(`process A unmapped the page during the FLR; invalidations timed out: ${timedOut}`);
  const { reused, other } = giveAway(stage, page);
  const stale = stage.startWrite(iova, LATE);
  const after = stage.readText(other, THEIRS.length);
  stage.say(`after the reset the function writes to the old address: ${stage.outcome(stale)}; process B's page begins "${after}"`);
  return {
    title: `A function whose ATC survives a reset (not compliant), ${window ? 'with' : 'without'} the window`,
    behaviour: 'linux-7.1',
    lines: stage.lines,
    counts: counts(stage),
    claims: window
      ? [
          { text: 'the window emptied the ATC before the reset, so nothing stale was left', holds: stage.outcome(stale) === 'no-access' },
          { text: "process B's data is whole", holds: reused && timedOut === 0 && after === THEIRS },
        ]
      : [
          { text: 'the stale entry was used after the reset', holds: stage.outcome(stale) === 'performed' && timedOut === 1 },
          { text: "process B's data was overwritten", holds: reused && after.startsWith(LATE) },
          { text: 'the detector called it stale-atc', holds: stage.seen('stale-atc').length === 1 },
        ],
    traceHash: stage.traceHash,
  };
}

function storyOf(doors: Doors, seed: number): Story {
  const chance = new doors.base.Prng(seed);
  const page = 0x10 + chance.below(0x1000);
  return {
    iova: BigInt(page) * 0x1000n,
    newIova: BigInt(page + 1 + chance.below(0x100)) * 0x1000n,
    switchMs: 1200 + chance.below(600),
    unmapMs: 5 + chance.below(60),
  };
}

function prologue(stage: Stage, domain: number, page: bigint, iova: bigint): void {
  stage.map(domain, iova, page);
  const first = stage.startWrite(iova, MINE);
  stage.say(`process A shares its address space with the function; a first write through ATS: ${stage.outcome(first)}`);
}

/** The allocator hands the freed page to the next process that asks. */
function giveAway(stage: Stage, page: bigint): { readonly reused: boolean; readonly other: bigint } {
  stage.freePage(page);
  const other = stage.allocPage();
  stage.writeText(other, THEIRS);
  stage.say(`the page at 0x${other.toString(16)} is given to process B, which writes "${THEIRS}"`);
  return { reused: other === page, other };
}

/** The write's landing, the completion of the last invalidation, the FLR: in this order in the trace. */
function inOrder(stage: Stage): boolean {
  const held = stage.seen('dma-released')[0];
  const landing = stage.records.findIndex((record) => record.kind === 'dma-performed' && record.b === held?.b);
  const completed = stage.records.findIndex((record, i) => i > landing && record.kind === 'invalidation-completed');
  const flr = stage.records.findIndex((record) => record.kind === 'function-reset');
  return landing >= 0 && landing < completed && completed < flr;
}

function landedInWindow(stage: Stage): number {
  const opened = stage.records.findIndex((record) => record.kind === 'drained');
  const closed = stage.records.findIndex((record) => record.kind === 'done');
  if (opened < 0 || closed < 0) return -1;
  return stage.records.slice(opened, closed).filter((record) => record.kind === 'dma-performed' && record.d > 0).length;
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
