import { expect, it } from 'vitest';
import { exchange, exchangeCalls, p50, rate, throughput, type Link } from '../../../bench/harness/load.ts';

it('keeps the depth, answers a reply with a request, and counts those still outstanding at the end', async () => {
  let outstanding = 0;
  let most = 0;
  let sent = 0;
  const link: Link = {
    onReplies: () => undefined,
    onError: () => undefined,
    send(count) {
      sent += count;
      outstanding += count;
      most = Math.max(most, outstanding);
      setImmediate(() => {
        outstanding -= count;
        link.onReplies(count);
      });
    },
  };
  const outcome = await exchange(link, { depth: 16, seconds: 0.02 });
  expect(most).toBe(16);
  expect(outstanding).toBe(0);
  expect(outcome.completed).toBe(sent);
  expect(outcome.seconds).toBeGreaterThanOrEqual(0.02);
  expect(outcome.latencies).toEqual([]);
});

it('times each exchange at depth 1', async () => {
  const slow = (): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  const outcome = await exchangeCalls(slow, { depth: 1, seconds: 0.03 });
  expect(outcome.latencies).toHaveLength(outcome.completed);
  expect(p50(outcome)).toBeGreaterThan(0.004);
});

it('fails with the first call that fails', async () => {
  const calls = exchangeCalls(() => Promise.reject(new Error('refused')), { depth: 2, seconds: 1 });
  await expect(calls).rejects.toThrow('refused');
});

it('fails when the link breaks', async () => {
  const link: Link = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: () => setImmediate(() => link.onError(new Error('gone'))),
  };
  await expect(exchange(link, { depth: 1, seconds: 1 })).rejects.toThrow('gone');
});

it('makes figures in base units', () => {
  const outcome = { completed: 500, seconds: 0.25, latencies: [0.003, 0.001, 0.002] };
  expect(rate(outcome)).toBe(2000);
  expect(throughput(outcome, 4096)).toBe(8_192_000);
  expect(p50(outcome)).toBe(0.002);
});
