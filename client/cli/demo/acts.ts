/**
 * The acts. Each runs the same story on a machine of its own, says what it sees as it sees it, and ends in claims that are checked
 * against the machine: a claim that does not hold fails the demo.
 */
import { THEIRS, end, giveAway, prologue, storyOf, type Act } from './act.ts';
import { Stage, type Doors, type TraceRecord } from './stage.ts';

const FLR_MS = 100;
const TIMEOUT_MS = 1000;
/** Bus Master Enable in the Command register. */
const BUS_MASTER = 0x4;
/** Address type of a request that carries a translated address. */
const TRANSLATED = 2;
/** Phase of a prepare: the function is blocked. */
const BLOCKED = 4;
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
  const held = tellHeld(stage);
  const reset = stage.startReset(false);
  const quiet = tellQuiet(stage);
  const began = stage.tell('function-reset', 'FLR begins, with no window');
  stage.passTo(unmapMs);
  const unmap = stage.startUnmap(domain, iova);
  const sent = stage.tell('invalidation-sent', 'process A unmaps the page; the IOMMU sends an Invalidate Request');
  const ignored = stage.tell('invalidation-ignored', 'the resetting function ignores it');
  stage.passTo(TIMEOUT_MS + unmapMs);
  const ready = stage.tell('function-ready', 'FLR is over; the invalidation is still unanswered');
  const timeout = stage.tell('invalidation-timeout', 'the IOMMU gives the invalidation up');
  stage.tell('unmapped', 'unmap succeeds as in Linux; the page is free', ({ d }) => d === 1, domain);
  const done = stage.reply(reset);
  const { reused, other } = giveAway(stage, page);
  stage.passTo(switchMs);
  const before = stage.readText(other, THEIRS.length);
  stage.releaseHeld();
  const landing = stage.tell('dma-performed', 'the switch lets the write go, and it is performed', ({ b }) => b === held?.b);
  const after = stage.readText(other, THEIRS.length);
  stage.say(`process B's page now begins "${after}"`);
  return end(stage, 'Without the window', 'linux-7.1', [
    {
      text: 'a posted write with a translated address was held in the switch before bus mastering went off',
      holds: held !== undefined && quiet !== undefined && held.timeNs <= quiet.timeNs,
    },
    { text: 'posted writes set no Transactions Pending', holds: done?.kind === 'reset' && !done.pendingTimedOut },
    {
      text: 'the resetting function ignored the Invalidate Request, and no other was sent',
      holds: ignored !== undefined && stage.seen('invalidation-sent').length === 1 && stage.seen('invalidation-completed').length === 0,
    },
    { text: `FLR took ${FLR_MS} ms`, holds: apart(began, ready) === FLR_MS },
    {
      text: 'after 1 s the timeout was logged, and unmap succeeded',
      holds: apart(sent, timeout) === TIMEOUT_MS && logged(stage, 'did not answer') && unmapTimedOut(stage, unmap) === 1,
    },
    { text: "process A's page was given to process B", holds: reused },
    {
      text: "the held write landed in process B's page",
      holds: landing !== undefined && before === THEIRS && after.startsWith(LATE) && stage.outcome(late) === 'performed',
    },
    { text: 'the detector called it stale-atc', holds: stage.seen('stale-atc').length === 1 && logged(stage, 'stale-atc') },
  ]);
}

/** The same story with reset-prepare and reset-done round the FLR. */
// long: one story, told in its order
export function withWindow(doors: Doors, seed: number): Act {
  const { iova, newIova, switchMs, unmapMs } = storyOf(doors, seed);
  const stage = new Stage(doors, 'strict', seed);
  const domain = stage.shareAddressSpace();
  const page = stage.allocPage();
  const side = stage.allocPage();
  prologue(stage, domain, page, iova);
  const sideIova = newIova + 0x1000n;
  stage.map(domain, sideIova, side);
  const late = stage.startWrite(iova, LATE, { hold: 'issued' });
  const held = tellHeld(stage);
  const reset = stage.startReset(true);
  const quiet = tellQuiet(stage);
  const { busMaster } = stage.state();
  stage.tell('gate', 'prepare closes the gate and waits for what is in flight', ({ b }) => b === 0);
  stage.passTo(switchMs - TIMEOUT_MS / 2);
  const sideUnmap = stage.startUnmap(domain, sideIova);
  const request = stage.tell('invalidation-sent', 'process A unmaps another page: its Invalidate Completion stands behind the held write');
  stage.passTo(switchMs);
  const answeredEarly = stage.seen('invalidation-completed').length;
  stage.releaseHeld();
  const landing = stage.tell('dma-performed', 'the switch lets the write go, and it is performed', ({ b }) => b === held?.b);
  const passed = stage.tell('invalidation-completed', 'behind it comes the completion', ({ b }) => b === request?.b);
  const landed = stage.readText(page, LATE.length);
  const whole = stage.tell('invalidation-sent', 'the whole ATC is invalidated', ({ d }) => d === 0);
  const completed = stage.tell('invalidation-completed', 'the function answers', ({ b }) => b === whole?.b);
  const blocked = stage.tell('prepare', 'the function is blocked: the window is open', ({ b }) => b === BLOCKED);
  const began = stage.tell('function-reset', 'FLR begins');
  stage.say(`process A's page begins "${landed}"`);
  const refused = stage.startWrite(iova, 'in the window');
  stage.passTo(switchMs + unmapMs);
  const unmap = stage.startUnmap(domain, iova);
  const atOnce = stage.reply(unmap) !== undefined;
  const unmapped = stage.tell('unmapped', 'process A unmaps the page', ({ d }) => d === 0, domain);
  const { reused, other } = giveAway(stage, page);
  const fresh = stage.allocPage();
  stage.map(domain, newIova, fresh);
  stage.say(`process A maps another page at IOVA 0x${newIova.toString(16)}`);
  stage.passTo(switchMs + FLR_MS + unmapMs);
  const ready = stage.tell('function-ready', 'FLR is over');
  const done = stage.tell('done', 'reset-done gives translation back: the window is closed', ({ d }) => d === 0);
  const report = stage.reply(reset);
  const old = stage.startWrite(iova, 'the old address');
  const again = stage.startWrite(newIova, AFTER);
  stage.say(`a write to the old address: ${stage.outcome(old)}; to the new one: ${stage.outcome(again)}`);
  return end(stage, 'With prepare and done', 'strict', [
    {
      text: 'the same write was held in the switch before bus mastering went off',
      holds: held !== undefined && quiet !== undefined && held.timeNs <= quiet.timeNs && !busMaster,
    },
    {
      text: 'an Invalidate Completion did not pass the held write',
      holds: answeredEarly === 0 && landing !== undefined && passed !== undefined && unmapTimedOut(stage, sideUnmap) === 0,
    },
    { text: "the held write landed while the page was process A's", holds: landed === LATE && stage.outcome(late) === 'performed' },
    {
      text: 'the whole-ATC invalidation completed behind it, and before the FLR',
      holds: whole !== undefined && completed !== undefined && blocked !== undefined && began !== undefined,
    },
    { text: 'no invalidation timed out', holds: stage.seen('invalidation-timeout').length === 0 && !logged(stage, 'did not answer') },
    {
      text: 'the unmap in the window was answered at once, and no Invalidate Request was sent for it',
      holds:
        unmapped !== undefined && atOnce && unmapTimedOut(stage, unmap) === 0 && between(stage, blocked, done, 'invalidation-sent') === 0,
    },
    { text: 'nothing landed in the window', holds: landedIn(stage, blocked, done) === 0 && stage.outcome(refused) === 'gate-closed' },
    { text: `FLR took ${FLR_MS} ms`, holds: apart(began, ready) === FLR_MS },
    { text: "process A's page went to process B, whose data is whole", holds: reused && stage.readText(other, THEIRS.length) === THEIRS },
    {
      text: 'afterwards translation is back with the current mappings',
      holds: report?.kind === 'reset' && stage.outcome(old) === 'no-access' && stage.readText(fresh, AFTER.length) === AFTER,
    },
  ]);
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
  if (window) stage.tell('invalidation-completed', 'prepare has had the whole ATC invalidated');
  stage.tell(
    'function-reset',
    `FLR begins, ${window ? 'in' : 'without'} a window, of a function that keeps its ATC through it: NOT COMPLIANT`,
  );
  stage.passTo(unmapMs);
  const unmap = stage.startUnmap(domain, iova);
  stage.passTo(TIMEOUT_MS + FLR_MS);
  if (window) stage.tell('unmapped', 'process A unmaps the page in the window', () => true, domain);
  stage.tell('function-ready', 'FLR is over');
  if (!window)
    stage.tell('unmapped', 'the unmap that process A began during the FLR ends, its invalidation unanswered', ({ d }) => d === 1, domain);
  const timedOut = unmapTimedOut(stage, unmap);
  const { reused, other } = giveAway(stage, page);
  const stale = stage.startWrite(iova, LATE);
  const after = stage.readText(other, THEIRS.length);
  stage.say(`after the reset the function writes to the old address: ${stage.outcome(stale)}; process B's page begins "${after}"`);
  const title = `A function whose ATC survives a reset (not compliant), ${window ? 'with' : 'without'} the window`;
  const claims = window
    ? [
        { text: 'the window emptied the ATC before the reset, so nothing stale was left', holds: stage.outcome(stale) === 'no-access' },
        { text: "process B's data is whole", holds: reused && timedOut === 0 && after === THEIRS },
      ]
    : [
        { text: 'the stale entry was used after the reset', holds: stage.outcome(stale) === 'performed' && timedOut === 1 },
        { text: "process B's data was overwritten", holds: reused && after.startsWith(LATE) },
        { text: 'the detector called it stale-atc', holds: stage.seen('stale-atc').length === 1 },
      ];
  return end(stage, title, 'linux-7.1', claims);
}

function tellHeld(stage: Stage): TraceRecord | undefined {
  return stage.tell(
    'dma-held',
    'the function issues a posted write with a translated address; a switch holds it',
    ({ d }) => d === TRANSLATED,
  );
}

function tellQuiet(stage: Stage): TraceRecord | undefined {
  return stage.tell('config-write', 'the host resets the function: bus mastering off', ({ b, c }) => b === 4 && (c & BUS_MASTER) === 0);
}

/** From one record to the other in ms; NaN where one is missing. */
function apart(first: TraceRecord | undefined, second: TraceRecord | undefined): number {
  return ((second?.timeNs ?? Number.NaN) - (first?.timeNs ?? Number.NaN)) / 1_000_000;
}

function logged(stage: Stage, words: string): boolean {
  return stage.logs.some((text) => text.includes(words));
}

/** Invalidations of an unmap that timed out; -1 while it waits. */
function unmapTimedOut(stage: Stage, unmap: number): number {
  const reply = stage.reply(unmap);
  return reply?.kind === 'unmap' ? reply.timedOut : -1;
}

/** Records of the function of one kind between two others; -1 where one of these is missing. */
function between(stage: Stage, first: TraceRecord | undefined, last: TraceRecord | undefined, kind: TraceRecord['kind']): number {
  return first === undefined || last === undefined ? -1 : within(stage, first, last).filter((record) => record.kind === kind).length;
}

function landedIn(stage: Stage, first: TraceRecord | undefined, last: TraceRecord | undefined): number {
  if (first === undefined || last === undefined) return -1;
  return within(stage, first, last).filter((record) => record.kind === 'dma-performed' && record.d > 0).length;
}

function within(stage: Stage, first: TraceRecord, last: TraceRecord): readonly TraceRecord[] {
  const { records } = stage;
  return records.slice(records.indexOf(first), records.indexOf(last)).filter((record) => record.a === first.a);
}
