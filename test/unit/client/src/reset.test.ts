import { describe, expect, it } from 'vitest';
import type { ResetWindow } from '../../../../client/src/index.ts';
import { connected, tick, type FakeServer } from './fake-server.ts';

const u64 = (low: number): object => ({ low, high: 0 });
const REPORT = {
  depth: 1,
  drained: 2,
  aborted: 3,
  indeterminate: 1,
  indeterminateRanges: [{ address: u64(0x4000), bytes: 8 }],
  completed: 1,
  timedOut: 0,
};

async function prepared(server: FakeServer, preparing: Promise<ResetWindow>): Promise<ResetWindow> {
  await tick();
  server.reply(server.calls('resetPrepare').at(-1)?.id ?? 0, 'resetPrepareReply', { report: REPORT, elapsedNs: u64(1_500_000) });
  return preparing;
}

describe('reset window', () => {
  it('has a token of the client, and done closes that window', async () => {
    const { server, connection } = await connected({ tokenPrefix: 'w' });
    const dev = connection.machine.function('00:02.0');
    const window = await prepared(server, dev.resetPrepare({ deadlineMs: 10, onDeadline: 'fail' }));
    expect(server.calls('resetPrepare')[0]?.body).toMatchObject({
      function: 0x10,
      token: 'w-1',
      deadlineNs: u64(10_000_000),
      onDeadline: 2,
    });
    expect(window.token).toBe('w-1');
    expect(window.report).toEqual({
      depth: 1,
      drained: 2,
      aborted: 3,
      indeterminate: 1,
      indeterminateRanges: [{ address: 0x4000n, bytes: 8 }],
      completed: 1,
      timedOut: 0,
      elapsedMs: 1.5,
    });
    const closing = window.done();
    await tick();
    expect(server.calls('resetDone')[0]?.body).toMatchObject({ function: 0x10, token: 'w-1', all: null });
    server.reply(1, 'resetDoneReply', { depth: 0, warning: 'odd', elapsedNs: u64(0) });
    expect(await closing).toEqual({ depth: 0, elapsedMs: 0, warning: 'odd' });
  });

  it('a token of the caller is used as it is', async () => {
    const { server, connection } = await connected();
    const window = await prepared(server, connection.machine.function('00:02.0').resetPrepare({ token: 'mine', deadlineMs: 0 }));
    expect(window.token).toBe('mine');
    expect(server.calls('resetPrepare')[0]?.body).toMatchObject({ token: 'mine', onDeadline: null });
  });

  it('disposing of it closes it once', async () => {
    const { server, connection } = await connected();
    const dev = connection.machine.function('00:02.0');
    const answerDone = async (): Promise<void> => {
      await tick();
      server.reply(server.calls('resetDone').at(-1)?.id ?? 0, 'resetDoneReply', {});
    };
    const left = await prepared(server, dev.resetPrepare({ deadlineMs: 0 }));
    await Promise.all([left[Symbol.asyncDispose](), answerDone()]);
    expect(server.calls('resetDone')).toHaveLength(1);
    const closed = await prepared(server, dev.resetPrepare({ deadlineMs: 0 }));
    await Promise.all([closed.done(), answerDone()]);
    await closed[Symbol.asyncDispose]();
    expect(server.calls('resetDone')).toHaveLength(2);
  });
});

describe('reset', () => {
  it('says what was done, and what Linux would print only when it would', async () => {
    const { server, connection } = await connected();
    const resetting = connection.machine.function('00:02.0').reset({ method: 'flr', window: false, deadlineMs: 1 });
    await tick();
    expect(server.calls('resetFunction')[0]?.body).toMatchObject({ method: 3, window: false });
    server.reply(1, 'resetFunctionReply', { method: 3, report: { skipped: true }, pendingTimedOut: true, elapsedNs: u64(0) });
    expect(await resetting).toMatchObject({ method: 'flr', skipped: true, pendingTimedOut: true, warning: undefined });
  });
});
