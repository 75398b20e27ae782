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

  it('without a method asks for none, and says what was tried where there was more than one', async () => {
    const { server, connection } = await connected();
    const resetting = connection.machine.function('00:02.0').reset({ deadlineMs: 1, tryLock: true });
    await tick();
    expect(server.calls('resetFunction')[0]?.body).toMatchObject({ method: null, window: null, tryLock: true });
    const tried = [{ method: 2, error: 25 }, { method: 3 }];
    server.reply(1, 'resetFunctionReply', { method: 3, tried, report: {}, elapsedNs: u64(0) });
    expect((await resetting).tried).toEqual([
      { method: 'acpi', error: 'ENOTTY' },
      { method: 'flr', error: undefined },
    ]);
  });

  it('a method that is none is refused before anything is sent', async () => {
    const { server, connection } = await connected();
    const dev = connection.machine.function('00:02.0');
    await expect(dev.reset({ method: 'kick' as 'flr', deadlineMs: 1 })).rejects.toMatchObject({ code: 'EINVAL', about: 'method' });
    await expect(dev.resetTrigger('kick' as 'flr')).rejects.toMatchObject({ code: 'EINVAL', about: 'method' });
    expect(server.frames).toEqual([]);
  });

  it('of what is below a bridge: no method, the slot where it is wanted, and all that was reset', async () => {
    const { server, connection } = await connected();
    const resetting = connection.machine.function('00:1c.0').resetBus({ slot: true });
    await tick();
    expect(server.calls('busReset')[0]?.body).toMatchObject({
      function: 0xe0,
      slot: true,
      tryLock: null,
      deadlineNs: u64(0),
      onDeadline: null,
    });
    server.reply(1, 'busResetReply', { functions: [0x100, 0x101], report: { skipped: true }, warning: 'odd', elapsedNs: u64(122_000_000) });
    expect(await resetting).toMatchObject({ functions: ['01:00.0', '01:00.1'], skipped: true, warning: 'odd', elapsedMs: 122 });
  });

  it('by the loss of power: of a port, or of the machine', async () => {
    const { server, connection } = await connected();
    const cold = [connection.machine.function('00:1c.0').coldReset(), connection.machine.coldReset()];
    await tick();
    expect(server.calls('coldReset').map(({ body }) => body)).toMatchObject([{ function: 0xe0 }, { function: null }]);
    for (const { id } of server.calls('coldReset')) server.reply(id, 'coldResetReply', { elapsedNs: u64(0) });
    expect(await Promise.all(cold)).toEqual([{ elapsedMs: 0 }, { elapsedMs: 0 }]);
  });
});

describe('reset methods', () => {
  it.each([
    [['pm', 'flr'], 'pm flr'],
    ['default', 'default'],
    ['', ''],
    [[], ''],
  ] as const)('%j is written as reset_method has it', async (methods, text) => {
    const { server, connection } = await connected();
    const setting = connection.machine.function('00:02.0').setResetMethods(methods);
    await tick();
    expect(server.calls('resetMethodsSet')[0]?.body).toMatchObject({ function: 0x10, methods: text });
    server.reply(1, 'resetMethodsSetReply', { methods: [5, 3], warning: 'odd', elapsedNs: u64(0) });
    expect(await setting).toEqual({ methods: ['pm', 'flr'], elapsedMs: 0, warning: 'odd' });
  });

  it('every number has its name, as a probe finds them', async () => {
    const { server, connection } = await connected();
    const probing = connection.machine.function('00:02.0').resetProbe();
    await tick();
    server.reply(server.calls('resetProbe')[0]?.id ?? 0, 'resetProbeReply', { methods: [1, 2, 3, 4, 5, 6, 7], elapsedNs: u64(0) });
    expect(await probing).toMatchObject({ methods: ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus'] });
  });

  it('what cannot be written is the error that the service gives', async () => {
    const { server, connection } = await connected();
    const setting = connection.machine.function('00:02.0').setResetMethods('kick');
    await tick();
    server.refuse(1, 22, 'EINVAL', '"kick" is none of them', 'methods');
    await expect(setting).rejects.toMatchObject({ code: 'EINVAL', about: 'methods' });
  });
});
