/**
 * Every way to reset a function, with a reset window and without one, in every state that it may be in when the reset begins. What must come of each is said
 * here by rules and by the times of PCIe and Linux, and not by what came of it before; docs/resets.md has what does come of it.
 */
import { readFileSync } from 'node:fs';
import { assert, beforeAll, expect, test } from 'vitest';
import { METHODS, UNASKED, cells, isOneOf, nameOf, topologyOf, type Cell } from '../kit/reset-cells.ts';
import { playAll, withTables, type Played } from '../kit/reset-page.ts';
import { play, type CellOutcome } from '../kit/reset-play.ts';
import { scenario } from '../kit/scenario.ts';

const PAGE = new URL('../../docs/resets.md', import.meta.url);
const TABLE = cells();
/** Wall clock, on a machine that has much else to do. */
const PLAYED_MS_MAX = 300_000;
let played: readonly Played[] = [];
// Not while the file is read: a cell that never ends fails there, and does not hang.
beforeAll(async () => {
  played = await playAll();
}, PLAYED_MS_MAX);

/** FLR and what firmware does by like means: 100 ms. D3hot and back: 10 ms each. A bus: 2 ms held, 20 ms until the link is up, 100 ms. */
const RESET_MS = {
  device_specific: 100,
  acpi: 100,
  flr: 100,
  af_flr: 100,
  pm: 20,
  bus: 122,
  cxl_bus: 122,
  'bus of a port': 122,
  'slot of a port': 122,
  recovery: 122,
} as const;
/** Polls of Transactions Pending: after 0, 100, 200 and 400 ms. */
const PENDING_MS = 700;
const DRAIN_MS = 10;
const ON_THE_WAY_MS = 5;
const FENCE_TIMEOUT_MS = 1000;
/** A bus is held for 2 ms, after 20 ms its link should be up, and a second later all is given up. */
const NO_LINK_MS = 1022;
/** 1 + 2 + 4 + … + 32768: the next would be past 60 s. */
const NEVER_READY_MS = 65_535;

const isDead = ({ state }: Cell): boolean => state === 'never ready' || state === 'off the bus';
/** pci_pm_reset() asks what the power state is before it has a window. */
const neverBegins = ({ way, state }: Cell): boolean => way === 'pm' && state === 'off the bus';
/** A write that was sent before the reset comes after it: only a drain keeps that from happening, and Linux's window has none. */
const isLate = ({ window, state, behaviour }: Cell): boolean => state === 'DMA in flight' && !(window && behaviour === 'strict');

function answerOf(cell: Cell): string | undefined {
  if (isOneOf(UNASKED, cell.way)) return undefined;
  if (!isDead(cell)) return 'ok';
  return cell.way === 'recovery' ? 'disconnect' : 'ENOTTY';
}

function elapsedOf(cell: Cell): number | undefined {
  const { way, window, state, behaviour } = cell;
  if (isOneOf(UNASKED, way)) return undefined;
  if (neverBegins(cell)) return 0;
  const base = RESET_MS[way];
  const waitsForPending = way === 'flr' || way === 'af_flr';
  switch (state) {
    case 'idle':
      return base;
    case 'DMA in flight':
      // The completion of an Invalidate Request does not pass the write that is held.
      return base + (waitsForPending ? PENDING_MS : 0) + (window ? (behaviour === 'strict' ? DRAIN_MS : FENCE_TIMEOUT_MS) : 0);
    case 'ATS in flight':
      return base + (waitsForPending ? PENDING_MS : 0);
    case 'invalidation in flight':
      return base + (window ? ON_THE_WAY_MS : 0);
    case 'never ready':
      return base + NEVER_READY_MS;
    case 'off the bus':
      return (base === RESET_MS.bus ? NO_LINK_MS : base) + (window ? FENCE_TIMEOUT_MS : 0);
  }
}

function reportOf({ way, window, state, behaviour }: Cell): CellOutcome['report'] {
  const strict = behaviour === 'strict';
  if (!window || way === 'recovery') return undefined;
  switch (state) {
    case 'idle':
      return { drained: 0, aborted: 0, completed: 1, timedOut: 0 };
    case 'DMA in flight':
      return strict ? { drained: 1, aborted: 1, completed: 1, timedOut: 0 } : { drained: 0, aborted: 0, completed: 0, timedOut: 1 };
    case 'ATS in flight':
      return { drained: strict ? 1 : 0, aborted: 0, completed: 1, timedOut: 0 };
    case 'invalidation in flight':
      return { drained: 0, aborted: 0, completed: 2, timedOut: 0 };
    default:
      return undefined;
  }
}

function inFlightOf(cell: Cell): readonly string[] {
  const drains = cell.window && cell.behaviour === 'strict';
  if (cell.state === 'DMA in flight') return drains ? ['performed', 'aborted'] : ['aborted', 'held'];
  if (cell.state === 'ATS in flight') return [drains ? 'no-access' : 'aborted'];
  return [];
}

function judge(cell: Cell, outcome: CellOutcome | undefined): void {
  assert(outcome !== undefined, 'it was played');
  const strict = cell.behaviour === 'strict';
  const works = !isDead(cell);
  const restored = works && !isOneOf(UNASKED, cell.way);
  expect(outcome).toMatchObject({ answer: answerOf(cell), elapsedMs: elapsedOf(cell), report: reportOf(cell), inFlight: inFlightOf(cell) });

  // Nothing leaves a function while it is being reset, whoever resets it.
  expect(outcome.during).toBe('gate-closed');
  // A page that was given away is written by nobody, but for what Linux lets happen.
  expect(outcome.stale).not.toBe('performed');
  expect(outcome.intact).toBe(strict || !isLate(cell));
  expect(outcome.late).toBe(isLate(cell) ? (strict ? 'ats-forbidden' : 'performed') : undefined);

  // Whoever does not come back keeps its block in strict, and there is none where there was no window.
  expect(outcome.blocked).toBe(strict && cell.window && !works && !neverBegins(cell));
  expect(outcome).toMatchObject({ answers: works, busMaster: restored, fresh: restored ? 'performed' : 'gate-closed' });
  // Linux gives translation back to whoever is there, and to whoever is not.
  const givenBack = !strict && cell.window && !works && !neverBegins(cell);
  expect(outcome.ats).toBe(restored || givenBack);
  expect(outcome.setUp).toBe(works ? 'performed' : 'gate-closed');
  // The invalidation is lost where the function was in reset, or is held up behind a write, or nobody is there to answer it.
  const lost = cell.state === 'invalidation in flight' ? !cell.window : isLate(cell) || (!works && !outcome.blocked);
  expect(outcome.unmapTimedOut).toBe(lost ? 1 : 0);
  // There is a way out of all of it.
  expect(outcome.again).toBe('performed');
}

for (const [index, cell] of TABLE.entries()) test(`${nameOf(cell)} [in-process]`, () => judge(cell, played[index]?.outcome));

/** The wire in between changes nothing: these show it, in states that are over soon. */
for (const cell of TABLE.filter(({ way, state }) => isOneOf(['flr', 'bus of a port', 'FLR bit'], way) && state !== 'never ready')) {
  const machine = { topology: topologyOf(cell.way), behaviour: cell.behaviour, clock: 'manual' } as const;
  scenario(nameOf(cell), { ...machine, drivers: ['loopback', 'socket'] }, async (m) => judge(cell, await play(m, cell)));
}

test('the table has every method with a window and without, in every state and both behaviours', () => {
  expect(TABLE.filter(({ way }) => isOneOf(METHODS, way))).toHaveLength(7 * 2 * 6 * 2);
  expect(new Set(TABLE.map(nameOf)).size).toBe(TABLE.length);
});

test('docs/resets.md has what came of them; node test/tidy/reset-page.mjs makes it anew', () => {
  const page = readFileSync(PAGE, 'utf8');
  expect(page).toBe(withTables(page, played));
});
