/** How many Invalidate Completions a request gets is said by the first (CC, PCIe §10.3.2). */
import { expect, it } from 'vitest';
import { NO_PASID, Trace, bdf } from '../../../server/src/core/base/index.ts';
import { InvalidationQueue } from '../../../server/src/core/translation/index.ts';

const nic = bdf(0, 0, 2, 0);

it('a completion with another count than the one before it does not count', () => {
  const queue = new InvalidationQueue({ trace: new Trace(() => 0), now: () => 0 });
  const kinds = (): string[] => queue.takeEffects().map(({ kind }) => kind);
  const request = (): number => queue.request(nic, NO_PASID, 0, Infinity, 0, 32);
  request();
  queue.complete(nic, 1, 3);
  queue.takeEffects();
  queue.complete(nic, 1, 2);
  queue.complete(nic, 1, 1);
  expect(queue.takeEffects()).toMatchObject([
    { kind: 'miscounted', invalidation: { itag: 0 }, count: 2, was: 3 },
    { kind: 'miscounted', count: 1, was: 3 },
  ]);
  queue.complete(nic, 1, 3);
  expect(kinds()).toEqual([]);
  queue.complete(nic, 1, 3);
  expect(kinds()).toEqual(['settled']);
  // The tag begins anew.
  request();
  queue.complete(nic, 1, 1);
  expect(kinds()).toEqual(['send', 'settled']);
  expect([queue.lateCompletions, queue.miscountedCompletions]).toEqual([0, 2]);
});
