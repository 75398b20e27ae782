/** Invariants 35 to 38: what an ITag promises (PCIe §10.3). Each over every order of events that a seed gives. */
import { describe, expect, it } from 'vitest';
import { NO_PASID, Prng, Trace, bdf, type Bdf } from '../../../server/src/core/base/index.ts';
import { InvalidationQueue } from '../../../server/src/core/translation/index.ts';

const nic = bdf(0, 0, 2, 0);
const disk = bdf(0, 3, 0, 1);
const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);
const STEPS = 400;

function makeQueue(): InvalidationQueue {
  return new InvalidationQueue({ trace: new Trace(() => 0), now: () => 0 });
}

/** A function that answers each request once, some of them after the translation agent has given up. */
interface Sent {
  readonly id: number;
  readonly bdf: Bdf;
  readonly itag: number;
  over: boolean;
}

/** Runs random requests, true answers in the order of each tag, and timeouts; calls `check` after each step. */
function run(
  seed: number,
  depth: number,
  check: (all: readonly Sent[], settledNow: readonly [id: number, timedOut: boolean][], answered: Sent | undefined) => void,
): void {
  const random = new Prng(seed);
  const queue = makeQueue();
  const all: Sent[] = [];
  /** Requests that the functions have and have not answered. */
  const unanswered: Sent[] = [];
  for (let step = 0; step < STEPS; step++) {
    const at = random.below(2) === 0 ? nic : disk;
    let answered: Sent | undefined;
    const what = random.below(10);
    if (what < 5) {
      queue.request(at, NO_PASID, 0, 1, 0, depth);
    } else if (what < 8) {
      const candidate = unanswered[random.below(unanswered.length)];
      answered = unanswered.find(({ bdf: place, itag }) => place === candidate?.bdf && itag === candidate.itag);
      if (answered !== undefined) {
        unanswered.splice(unanswered.indexOf(answered), 1);
        queue.complete(answered.bdf, 1 << answered.itag, 1);
      }
    } else {
      const live = all.filter(({ over }) => !over);
      const victim = live[random.below(live.length)];
      if (victim !== undefined) queue.timeout(victim.id);
    }
    const settled: [number, boolean][] = [];
    for (const effect of queue.takeEffects()) {
      const { id, bdf: place, itag } = effect.invalidation;
      if (effect.kind === 'send') {
        const sent = { id, bdf: place, itag, over: false };
        all.push(sent);
        unanswered.push(sent);
      } else if (effect.kind === 'settled') {
        settled.push([id, effect.timedOut]);
        for (const sent of all) if (sent.id === id) sent.over = true;
      }
    }
    check(all, settled, answered);
  }
  expect(all.length).toBeGreaterThan(50);
}

describe('35: ITags in flight are at most 32, at most the queue depth, and unique', () => {
  it.each([1, 2, 31, 32])('with a depth of %i', (depth) => {
    const wrong: string[] = [];
    for (const seed of SEEDS) {
      run(seed, depth, (all) => {
        for (const at of [nic, disk]) {
          const tags = all.filter((sent) => sent.bdf === at && !sent.over).map(({ itag }) => itag);
          const sound = new Set(tags).size === tags.length && tags.every((itag) => itag >= 0 && itag < 32);
          if (tags.length > depth || !sound) wrong.push(`seed ${seed}: ${tags.join()}`);
        }
      });
    }
    expect(wrong).toEqual([]);
  });
});

describe('36: a late completion of a timed-out ITag never completes a new request', () => {
  it('in any order: what settles well has been answered itself', () => {
    for (const seed of SEEDS) {
      const answers = new Set<number>();
      run(seed, 4, (_, settled, answered) => {
        if (answered !== undefined) answers.add(answered.id);
        for (const [id, timedOut] of settled) if (!timedOut) expect(answers.has(id)).toBe(true);
      });
    }
  });

  it('while other tags are free, a timed-out one is left alone', () => {
    const queue = makeQueue();
    queue.timeout(queue.request(nic, NO_PASID, 0, 1, 0, 32));
    const ids = Array.from({ length: 31 }, () => queue.request(nic, NO_PASID, 0, 1, 0, 32));
    queue.request(nic, NO_PASID, 0, 1, 0, 32);
    expect([queue.outstanding(nic), queue.waiting(nic)]).toEqual([31, 1]);
    queue.takeEffects();
    queue.complete(nic, 1, 1);
    expect(queue.takeEffects().map(({ kind, invalidation }) => [kind, invalidation.itag])).toEqual([['send', 0]]);
    expect(queue.pendingIds(nic)).toEqual([...ids, ids.at(-1)! + 1]);
  });

  it('when every tag has timed out, one is used again and first pays for the request before', () => {
    const queue = makeQueue();
    for (let i = 0; i < 32; i++) queue.timeout(queue.request(nic, NO_PASID, 0, 1, 0, 32));
    queue.takeEffects();
    const id = queue.request(nic, NO_PASID, 0, 1, 0, 32);
    expect(queue.takeEffects()).toMatchObject([{ kind: 'send', invalidation: { id, itag: 0 } }]);
    queue.complete(nic, 1, 1);
    expect(queue.takeEffects()).toEqual([]);
    expect(queue.lateCompletions).toBe(1);
    queue.complete(nic, 1, 1);
    expect(queue.takeEffects()).toMatchObject([{ kind: 'settled', invalidation: { id }, timedOut: false }]);
  });

  it('whatever part of its completions came before the timeout', () => {
    const queue = makeQueue();
    for (let i = 0; i < 32; i++) {
      const id = queue.request(nic, NO_PASID, 0, 1, 0, 32);
      if (i === 0) queue.complete(nic, 1, 3);
      queue.timeout(id);
    }
    queue.request(nic, NO_PASID, 0, 1, 0, 32);
    queue.takeEffects();
    queue.complete(nic, 1, 3);
    queue.complete(nic, 1, 3);
    for (let i = 0; i < 2; i++) queue.complete(nic, 1, 3);
    expect(queue.takeEffects()).toEqual([]);
    queue.complete(nic, 1, 3);
    expect(queue.takeEffects()).toMatchObject([{ kind: 'settled', timedOut: false }]);
    expect(queue.lateCompletions).toBe(2);
  });
});

describe('37: a timed-out invalidation is never reported as success; UR completes without error', () => {
  it('in any order', () => {
    for (const seed of SEEDS) {
      const outcomes = new Map<number, boolean>();
      run(seed, 32, (_, settled, answered) => {
        for (const [id, timedOut] of settled) {
          expect(outcomes.has(id)).toBe(false);
          outcomes.set(id, timedOut);
          if (!timedOut) expect(answered?.id).toBe(id);
        }
      });
    }
  });

  it('UR', () => {
    const queue = makeQueue();
    const id = queue.request(nic, NO_PASID, 0, 1, 0, 32);
    queue.takeEffects();
    queue.unsupported(id);
    expect(queue.takeEffects()).toMatchObject([{ kind: 'settled', timedOut: false, invalidation: { id } }]);
    expect(queue.outstanding(nic)).toBe(0);
  });
});

describe('38: a timeout of one function does not lose completions of another', () => {
  it('not even with the same tag, in the same moment', () => {
    const queue = makeQueue();
    const mine = queue.request(nic, NO_PASID, 0, 1, 0, 32);
    const other = queue.request(disk, NO_PASID, 0, 1, 0, 32);
    queue.takeEffects();
    queue.timeout(mine);
    queue.complete(disk, 1, 1);
    queue.complete(nic, 1, 1);
    expect(queue.takeEffects()).toMatchObject([
      { kind: 'settled', timedOut: true, invalidation: { id: mine } },
      { kind: 'settled', timedOut: false, invalidation: { id: other } },
    ]);
    expect(queue.lateCompletions).toBe(1);
  });
});
