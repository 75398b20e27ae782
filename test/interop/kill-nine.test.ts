/**
 * Programs that take part in a machine are killed (SIGKILL) at each step of a reset window, over real sockets: the function never comes back open by it, nobody
 * waits for ever, other machines do not notice, and another host can end the window. `test/scenario/peer-death.test.ts` has the steps with connections that are closed.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { withDeaths } from '../kit/death-page.ts';
import { playDeaths } from '../kit/death-play.ts';
import { POINTS, VICTIMS, type Played, type Point, type Victim } from '../kit/deaths.ts';
import { DEADLINE_MS } from '../kit/peer-process.ts';

const PAGE = new URL('../../docs/deaths.md', import.meta.url);
/** Before these steps the gate of the function has not been closed. */
const OPEN_BEFORE: readonly string[] = ['test', 'lock', 'check', 'gate'];

let played: readonly Played[] = [];
// Each wait in it has a deadline of its own; all of them together take some 20 s.
beforeAll(async () => {
  played = await playDeaths();
}, 4 * DEADLINE_MS);

describe.each(VICTIMS)('the %s is killed', (victim) => {
  test.each(POINTS)('before step $step of $call', (point) => {
    const { seen } = played.find((one) => one.victim === victim && one.point === point) ?? expect.unreachable('it was played');
    expect(seen).toMatchObject({
      ...(point.call === 'done' ? {} : { shut: 'depth 1, blocked, gate closed', shutDma: ['gate-closed', 'gate-closed'] }),
      beside: 'flr',
      inFlight: inFlight(victim, point),
      answer: victim === 'host' && point.call !== 'window' ? 'killed' : expect.stringMatching(ANSWERS[point.call]),
      resets: victim.startsWith('emulator') ? ['flr'] : [],
      ended: 'depth 0, not blocked, gate open',
      pages: ['....', 'here'],
      left: 0,
    });
    // The gate opens last, and not for one that has not been reset since it came.
    const mayDoDma = point.call === 'done' && point.step === 'unlock' && !victim.startsWith('emulator');
    if (seen.standing !== '') expect(seen.standing).toBe(mayDoDma ? 'performed' : 'gate-closed');
    // Memory without its owner is there, and gives nothing.
    expect(seen.after).toEqual(victim === 'owner' ? ['performed', 'completer-abort', 'performed'] : ['performed', 'performed']);
  });
});

/** Where the emulator came back before the prepare began, that is inside the window of its own reset. */
const ANSWERS: Readonly<Record<Point['call'], RegExp>> = { prepare: /^depth [12]$/, window: /^$/, done: /^depth 0$/ };

/** Its emulator hears what came of it where it was alive to. */
function inFlight(victim: Victim, { call, step }: Point): string {
  return victim.startsWith('emulator') && call === 'prepare' && OPEN_BEFORE.includes(step) ? 'killed' : 'indeterminate';
}

test('docs/deaths.md says what was seen', () => {
  const page = readFileSync(PAGE, 'utf8');
  expect(page).toBe(withDeaths(page, played));
});
