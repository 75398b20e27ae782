import { beforeEach, describe, expect, it } from 'vitest';
import { NO_PASID, Trace, bdf, pasid, type Bdf, type TraceRecord } from '../../../server/src/core/base/index.ts';
import { InvalidationQueue } from '../../../server/src/core/translation/index.ts';

const nic = bdf(0, 0, 2, 0);
const disk = bdf(0, 3, 0, 1);

let now = 0;
let seen: TraceRecord[];
let queue: InvalidationQueue;
beforeEach(() => {
  now = 1000;
  seen = [];
  const trace = new Trace(() => now);
  trace.listen((record) => seen.push(record));
  queue = new InvalidationQueue({ trace, now: () => now });
});

function request(at: Bdf, depth = 32): number {
  return queue.request(at, NO_PASID, 0, Infinity, 0, depth);
}
/** What came out since the last call: `send 1@0`, `settled 1@0`, `timed out 1@0`, as id and tag. */
function effects(): string[] {
  return queue.takeEffects().map((effect) => {
    const { id, itag } = effect.invalidation;
    const what = effect.kind === 'settled' ? (effect.timedOut ? 'timed out' : 'settled') : effect.kind;
    return `${what} ${id}@${itag}`;
  });
}
function tag(...itags: number[]): number {
  return itags.reduce((vector, itag) => vector | (1 << itag), 0);
}
function count(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

describe('a request', () => {
  it.each([
    ['a page', 0x13, 1, 0x13, 1],
    ['two that make a larger one', 0x12, 2, 0x12, 2],
    ['two that do not', 0x13, 2, 0x10, 8],
    ['as many as a size, in other places', 0x1ff, 512, 0, 1024],
    ['everything', 0, Infinity, 0, Infinity],
  ])('names the smallest range that has a size: %s', (_, first, pages, firstPage, named) => {
    queue.request(nic, NO_PASID, first, pages, 0, 32);
    expect(queue.takeEffects()).toMatchObject([{ invalidation: { firstPage, pages: named, askedFirst: first, askedPages: pages } }]);
    expect(queue.pendingIn(0, 0, Infinity)).toEqual([]);
  });

  it('goes out with a tag, what it invalidates, and when', () => {
    const id = queue.request(nic, pasid(5), 0x10, 3, 77, 32, [4]);
    const asked = { id, bdf: nic, pasid: 5, firstPage: 0x10, pages: 4, askedFirst: 0x10, askedPages: 3, spaces: [4], waiter: 77 };
    expect(queue.takeEffects()).toEqual([{ kind: 'send', invalidation: { ...asked, itag: 0, sentNs: 1000, grantsMade: Infinity } }]);
    expect(queue.takeEffects()).toEqual([]);
  });

  it('is found by the pages and the spaces that it takes translations of, until it has settled', () => {
    const some = queue.request(nic, pasid(5), 0x10, 3, 0, 32, [4]);
    const all = queue.request(nic, NO_PASID, 0, Infinity, 0, 32, [4, 5]);
    expect(queue.pendingIn(4, 0x12, 1)).toEqual([some, all]);
    expect(queue.pendingIn(4, 0x13, 1)).toEqual([all]);
    expect(queue.pendingIn(4, 0, 0x10)).toEqual([all]);
    expect(queue.pendingIn(5, 0x10, 1)).toEqual([all]);
    expect(queue.pendingIn(6, 0, Infinity)).toEqual([]);
    expect(queue.pendingIn(4, 0x10, 0)).toEqual([]);
    queue.timeout(all);
    expect(queue.pendingIn(4, 0x12, 1)).toEqual([some]);
  });

  it('notes what had been granted when it was asked for, also if it must wait', () => {
    let grants = 3;
    const counting = new InvalidationQueue({ trace: new Trace(() => 0), now: () => 0, grantsMade: () => grants });
    for (let i = 0; i < 2; i++) counting.request(nic, NO_PASID, 0, 1, 0, 1);
    grants = 9;
    counting.complete(nic, tag(0), 1);
    expect(counting.takeEffects().map(({ invalidation }) => invalidation.grantsMade)).toEqual([3, 3, 3]);
  });

  it('settles once, when its completion comes', () => {
    const id = request(nic);
    effects();
    queue.complete(nic, tag(0), 1);
    queue.complete(nic, tag(0), 1);
    queue.timeout(id);
    queue.unsupported(id);
    expect(effects()).toEqual([`settled ${id}@0`]);
    expect(queue.lateCompletions).toBe(1);
    expect(queue.pendingIds(nic)).toEqual([]);
  });

  it('takes the lowest free tag of its own function', () => {
    for (let i = 0; i < 3; i++) request(nic);
    request(disk);
    queue.complete(nic, tag(1), 1);
    request(nic);
    request(nic);
    expect(effects()).toEqual(['send 1@0', 'send 2@1', 'send 3@2', 'send 4@0', 'settled 2@1', 'send 5@1', 'send 6@3']);
  });

  it.each([0, 33, 1.5])('of a function with a queue of %d is a bug of ours', (depth) => {
    expect(() => request(nic, depth)).toThrow(`invalidate queue depth ${depth}`);
  });
});

describe('more requests than tags', () => {
  it('wait in order for the 32 tags', () => {
    for (let i = 0; i < 35; i++) request(nic);
    expect(effects()).toEqual(count(1, 32).map((id) => `send ${id}@${id - 1}`));
    expect([queue.outstanding(nic), queue.waiting(nic)]).toEqual([32, 3]);
    expect(queue.pendingIds(nic)).toEqual(count(1, 35));
    now = 2000;
    queue.complete(nic, tag(31, 7), 1);
    expect(effects()).toEqual(['settled 8@7', 'settled 32@31', 'send 33@7', 'send 34@31']);
    expect([queue.outstanding(nic), queue.waiting(nic)]).toEqual([32, 1]);
    expect(queue.pendingIds(nic)).not.toContain(8);
  });

  it('wait for the queue of the function, when that is shallower', () => {
    for (let i = 0; i < 4; i++) request(nic, 2);
    request(disk, 1);
    expect(effects()).toEqual(['send 1@0', 'send 2@1', 'send 5@0']);
    queue.timeout(1);
    expect(effects()).toEqual(['timed out 1@0', 'send 3@2']);
    queue.unsupported(2);
    expect(effects()).toEqual(['settled 2@1', 'send 4@1']);
    expect([queue.outstanding(nic), queue.waiting(nic)]).toEqual([2, 0]);
  });

  it('are stamped when they are sent, not when they are asked for', () => {
    for (let i = 0; i < 2; i++) request(nic, 1);
    queue.takeEffects();
    now = 5000;
    queue.complete(nic, tag(0), 1);
    expect(queue.takeEffects().at(-1)?.invalidation.sentNs).toBe(5000);
  });

  it('can be given up while they wait', () => {
    for (let i = 0; i < 3; i++) request(nic, 1);
    effects();
    queue.timeout(2);
    expect(effects()).toEqual(['timed out 2@-1']);
    queue.complete(nic, tag(0), 1);
    expect(effects()).toEqual(['settled 1@0', 'send 3@0']);
  });
});

describe('a completion', () => {
  it('names several tags at once', () => {
    for (let i = 0; i < 4; i++) request(nic);
    effects();
    queue.complete(nic, tag(0, 2, 3), 1);
    expect(effects()).toEqual(['settled 1@0', 'settled 3@2', 'settled 4@3']);
    expect(queue.pendingIds(nic)).toEqual([2]);
  });

  it('reads tag 31 of a vector with its sign bit set', () => {
    for (let i = 0; i < 32; i++) request(nic);
    effects();
    queue.complete(nic, -0x8000_0000, 1);
    queue.complete(nic, 0x4000_0000, 1);
    expect(effects()).toEqual(['settled 32@31', 'settled 31@30']);
  });

  it.each([2, 8])('of a function that used %i traffic classes counts to as many', (completions) => {
    request(nic);
    request(nic);
    effects();
    for (let i = 1; i < completions; i++) queue.complete(nic, tag(0, 1), completions);
    expect(effects()).toEqual([]);
    queue.complete(nic, tag(1), completions);
    expect(effects()).toEqual(['settled 2@1']);
    queue.complete(nic, tag(0), completions);
    expect(effects()).toEqual(['settled 1@0']);
    request(nic);
    queue.complete(nic, tag(0), completions);
    expect(effects()).toEqual(['send 3@0']);
  });

  it('from another function, or for a free tag, is late and does nothing', () => {
    request(nic);
    request(nic);
    effects();
    queue.complete(disk, tag(0, 1), 1);
    queue.complete(nic, tag(5), 1);
    expect(effects()).toEqual([]);
    expect(queue.lateCompletions).toBe(3);
    expect([queue.outstanding(nic), queue.outstanding(disk)]).toEqual([2, 0]);
    const late = seen.filter(({ kind }) => kind === 'invalidation-late').map(({ a, b }) => [a, b]);
    expect(late).toEqual([
      [disk, 0],
      [disk, 1],
      [nic, 5],
    ]);
  });

  it('does not complete what its own vector made room for', () => {
    for (let i = 0; i < 3; i++) request(nic, 1);
    effects();
    queue.complete(nic, tag(0, 1), 1);
    expect(effects()).toEqual(['settled 1@0', 'send 2@0']);
    expect(queue.outstanding(nic)).toBe(1);
  });

  it.each([0, 9, -1, 1.5])('with a count of %d is refused', (completions) => {
    request(nic);
    effects();
    expect(() => queue.complete(nic, tag(0), completions)).toThrow(
      expect.objectContaining({ code: 'EINVAL', field: 'completionCount', message: `completionCount ${completions} is not 1 to 8` }),
    );
    expect(effects()).toEqual([]);
  });
});

describe('a function reset', () => {
  it('leaves what is in flight to its timeout', () => {
    const id = request(nic);
    effects();
    queue.functionReset(nic);
    expect(effects()).toEqual([]);
    expect(queue.outstanding(nic)).toBe(1);
    queue.timeout(id);
    expect(effects()).toEqual([`timed out ${id}@0`]);
  });

  it('clears the debts of timed-out tags', () => {
    for (let i = 0; i < 2; i++) {
      queue.timeout(request(nic));
    }
    effects();
    queue.functionReset(nic);
    request(nic);
    expect(effects()).toEqual(['send 3@0']);
    queue.complete(nic, tag(0), 1);
    expect(effects()).toEqual(['settled 3@0']);
    expect(queue.lateCompletions).toBe(0);
  });

  it('lets a tag that was in flight be used again after its timeout: nobody is left to answer it', () => {
    const id = request(nic);
    queue.functionReset(nic);
    queue.timeout(id);
    request(nic);
    queue.complete(nic, tag(0), 1);
    expect(effects()).toEqual(['send 1@0', 'timed out 1@0', 'send 2@0', 'settled 2@0']);
  });

  it('excuses only what it lost: the next timeout of the tag is a debt again', () => {
    const id = request(nic);
    queue.functionReset(nic);
    queue.timeout(id);
    queue.timeout(request(nic));
    request(nic);
    expect(effects()).toEqual(['send 1@0', 'timed out 1@0', 'send 2@0', 'timed out 2@0', 'send 3@1']);
  });

  it('forgets the completions that a request in debt had', () => {
    const id = request(nic);
    queue.complete(nic, tag(0), 2);
    queue.timeout(id);
    queue.functionReset(nic);
    request(nic);
    effects();
    queue.complete(nic, tag(0), 2);
    expect(effects()).toEqual([]);
    queue.complete(nic, tag(0), 2);
    expect(effects()).toEqual(['settled 2@0']);
  });

  it('of a function that was never asked does nothing', () => {
    queue.functionReset(nic);
    expect([queue.outstanding(nic), queue.waiting(nic), queue.pendingIds(nic)]).toEqual([0, 0, []]);
  });
});

describe('the trace', () => {
  it('names function and tag of each step', () => {
    queue.request(nic, NO_PASID, 0x20, 4, 0, 32);
    queue.request(nic, NO_PASID, 0, Infinity, 0, 32);
    queue.complete(nic, tag(0), 2);
    queue.complete(nic, tag(0), 2);
    queue.timeout(2);
    expect(seen.map(({ kind, a, b, c, d }) => [kind, a, b, c, d])).toEqual([
      ['invalidation-sent', nic, 0, 0x20, 4],
      ['invalidation-sent', nic, 1, 0, 0],
      ['invalidation-answered', nic, 0, 1, 2],
      ['invalidation-answered', nic, 0, 2, 2],
      ['invalidation-completed', nic, 0, 0, 0],
      ['invalidation-timeout', nic, 1, 0, 0],
    ]);
  });
});
