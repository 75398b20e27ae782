import { afterEach, describe, expect, it, vi } from 'vitest';
import { BODY, type CallName, type iommud } from '../../../proto/index.ts';
import { PEER_MISTAKES_MAX } from '../../../proto/limits.ts';
import { bdfFromNumber } from '../../../server/src/core/base/index.ts';
import type { PeerCall } from '../../../server/src/core/machine/index.ts';
import type { MachineHost } from '../../../server/src/rpc/index.ts';
import type { FakeMachine } from './fake-machine.ts';
import { ROLE, settle, type RawPeer } from './raw-peer.ts';
import { closedWith, setup } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

const WIDE = 0xff_ffff_f000n;
const wide = { low: -0x1000, high: 0xff };
const DATA = Uint8Array.of(5, 6);

/** Each thing that a machine asks of a peer, as the wire says it. */
const ASKED: [string, CallName, Record<string, unknown>, Record<string, unknown>, Uint8Array | undefined][] = [
  ['memory-read', 'memoryRead', { address: WIDE, bytes: 2, epoch: 3 }, { address: wide, bytes: 2, epoch: 3 }, undefined],
  ['memory-write', 'memoryWrite', { address: WIDE, data: DATA, epoch: 3 }, { address: wide, epoch: 3 }, DATA],
  [
    'memory-fence',
    'memoryFence',
    { address: WIDE, bytes: 4096n, epoch: 3 },
    { address: wide, bytes: { low: 4096, high: 0 }, epoch: 3 },
    undefined,
  ],
  [
    'region-read',
    'regionRead',
    { bdf: 16, region: 2, offset: 8, bytes: 4 },
    { function: 16, region: 2, offset: { low: 8, high: 0 }, bytes: 4 },
    undefined,
  ],
  [
    'region-write',
    'regionWrite',
    { bdf: 16, region: 2, offset: 8, bytes: 8, valueLow: -1, valueHigh: 7 },
    { function: 16, region: 2, offset: { low: 8, high: 0 }, bytes: 8, value: { low: -1, high: 7 } },
    undefined,
  ],
  ['device-reset', 'deviceReset', { bdf: 16, method: 'flr' }, { function: 16, method: 3 }, undefined],
  [
    'device-invalidate',
    'deviceInvalidate',
    { bdf: 16, itag: 31, pasid: 5, iova: WIDE, bytes: 0x2000n },
    { function: 16, itag: 31, pasid: 5, iova: wide, bytes: { low: 0x2000, high: 0 } },
    undefined,
  ],
  [
    'device-invalidate',
    'deviceInvalidate',
    { bdf: 16, itag: 0, pasid: -1, iova: 0n, bytes: undefined },
    { function: 16, itag: 0, iova: { low: 0, high: 0 } },
    undefined,
  ],
];

async function owner(
  hello: iommud.v1.Hello.$Properties = {},
): Promise<{ machine: FakeMachine; peer: RawPeer; host: MachineHost; go: () => Promise<void> }> {
  const { machine, host, connect } = setup();
  const peer = connect().hello([ROLE.device, ROLE.memory], hello).send();
  await peer.replyTo(1);
  const go = async (): Promise<void> => {
    await host.call({ kind: 'clock-info' });
    await settle();
  };
  return { machine, peer, host, go };
}
const read = (bytes = 2): PeerCall => ({ kind: 'memory-read', address: WIDE, bytes, epoch: 0 });

describe('what the machine asks of a peer', () => {
  it.each(ASKED)('%s', async (kind, name, call, body, data) => {
    const { machine, peer, go } = await owner();
    const token = machine.ask(1, { kind, ...call } as unknown as PeerCall);
    await go();
    expect(peer.calls()).toMatchObject([{ number: BODY[name], body, data }]);
    const id = peer.calls()[0]?.id ?? 0;
    const answers = {
      memoryRead: [{}, DATA, { kind: 'data', data: DATA }],
      regionRead: [{ value: { low: -1, high: 9 } }, undefined, { kind: 'value', valueLow: -1, valueHigh: 9 }],
    } as const;
    const [reply, bytes, answer] = name === 'memoryRead' || name === 'regionRead' ? answers[name] : [{}, undefined, { kind: 'ok' }];
    peer.reply(id, `${name}Reply` as 'memoryReadReply', reply, bytes).send();
    await settle();
    expect(machine.answers).toEqual([{ peer: 1, token, answer }]);
  });

  it('may be answered with an error', async () => {
    const { machine, peer, go } = await owner();
    machine.ask(1, read());
    await go();
    peer.reply(peer.calls()[0]?.id ?? 0, 'error', { code: 5, message: 'burnt' }).send();
    await settle();
    expect(machine.answers[0]?.answer).toEqual({ kind: 'error', code: 'EIO', message: 'burnt' });
  });

  it('has ids of its own, which a call of the peer may have too', async () => {
    const { machine, peer, go } = await owner();
    machine.ask(1, read());
    machine.ask(1, read());
    await go();
    expect(peer.calls().map((call) => call.id)).toEqual([1, 2]);
    peer.call(1, 'clockInfo', {}).reply(2, 'memoryReadReply', {}, DATA).reply(1, 'memoryReadReply', {}, DATA).send();
    await settle();
    expect(machine.answers.map((one) => one.token)).toEqual([2, 1]);
  });

  const EPROTO = expect.objectContaining({ kind: 'error', code: 'EPROTO' }) as unknown;
  it.each([
    ['to a call that was not made', (peer: RawPeer) => peer.reply(9, 'memoryReadReply', {}, DATA), []],
    ['of another kind', (peer: RawPeer) => peer.reply(1, 'memoryWriteReply'), [EPROTO]],
    ['without its data', (peer: RawPeer) => peer.reply(1, 'memoryReadReply'), [EPROTO]],
    [
      'twice',
      (peer: RawPeer) => peer.reply(1, 'memoryReadReply', {}, DATA).reply(1, 'memoryReadReply', {}, DATA),
      [expect.objectContaining({ kind: 'data' })],
    ],
  ] as const)('counts an answer %s, ends its call in an error, and closes with 1002 after the 16th', async (_what, answer, came) => {
    const { machine, peer, go, host } = await owner();
    machine.ask(1, read());
    await go();
    answer(peer).send();
    await settle();
    expect(machine.answers.map((one) => one.answer)).toEqual(came);
    expect([host.counters.peerMistakesTotal, host.status()[0]?.mistakes, machine.detached]).toEqual([1, 1, []]);
    for (let i = 1; i < PEER_MISTAKES_MAX; i++) peer.reply(99, 'memoryReadReply', {}, DATA);
    peer.send();
    expect(await closedWith(peer, 1002)).toBe(`${PEER_MISTAKES_MAX} wrong answers; the last: a reply to call 99, which is not outstanding`);
    expect(machine.detached).toEqual([1]);
  });

  it('counts what the machine finds wrong in an answer', async () => {
    const { machine, peer, go, host } = await owner();
    machine.onAnswer = () => 'two bytes, not three';
    machine.ask(1, read());
    await go();
    peer.reply(1, 'memoryReadReply', {}, DATA).send();
    await settle();
    expect(host.counters.peerMistakesTotal).toBe(1);
  });

  it('waits for the credits of the peer, in order within its class, and no class waits for another', async () => {
    const { machine, peer, go } = await owner({ credits: [{ class: 4, calls: 2, replyBytes: 3 }] });
    for (const bytes of [2, 2, 1, 1]) machine.ask(1, read(bytes));
    machine.ask(1, { kind: 'device-reset', bdf: 16, method: 'flr' } as unknown as PeerCall);
    await go();
    const asked = (): (number | undefined)[] => peer.calls().map((call) => (call.body as { bytes?: number }).bytes);
    expect(asked()).toEqual([2, undefined]);
    peer.reply(1, 'memoryReadReply', {}, DATA).send();
    await settle();
    expect(asked()).toEqual([2, undefined, 2, 1]);
    peer.reply(3, 'memoryReadReply', {}, DATA).send();
    await settle();
    expect(asked()).toEqual([2, undefined, 2, 1, 1]);
    expect(peer.closed).toBeUndefined();
  });

  it('is kept for a slow peer up to a bound: then 1013', async () => {
    const { machine, peer, go } = await owner({ credits: [{ class: 4, calls: 1 }] });
    for (let i = 0; i < 1 + 4096; i++) machine.ask(1, read());
    await go();
    expect(peer.closed).toBeUndefined();
    machine.ask(1, read());
    await go();
    await closedWith(peer, 1013);
  });

  it('stops holding the clock after 30 s without an answer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { machine, peer, go } = await owner();
    machine.ask(1, read());
    await go();
    await vi.advanceTimersByTimeAsync(20_000);
    machine.ask(1, read());
    await go();
    peer.reply(1, 'memoryReadReply', {}, DATA).send();
    await settle();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(machine.timedOut).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(machine.timedOut).toEqual([1]);
    await vi.advanceTimersByTimeAsync(100_000);
    expect(machine.timedOut).toEqual([1]);
    peer.reply(2, 'memoryReadReply', {}, DATA).send();
    await settle();
    machine.ask(1, read());
    await go();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(machine.timedOut).toEqual([1, 1]);
  });

  it('may take as long for the answer to a reset as its claim says, and then no longer holds the clock', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { machine, peer, go } = await owner();
    const reset = (deadlineMs: number): PeerCall => ({ kind: 'device-reset', bdf: bdfFromNumber(16), method: 'flr', deadlineMs });
    machine.ask(1, read());
    machine.ask(1, reset(5000));
    await go();
    expect(peer.calls().map((call) => (call.body as { deadlineMs?: number }).deadlineMs)).toEqual([undefined, 5000]);
    await vi.advanceTimersByTimeAsync(4999);
    expect(machine.timedOut).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(machine.timedOut).toEqual([1]);
    peer.reply(2, 'deviceResetReply').send();
    await settle();
    // The other call has its 30 s all the same.
    await vi.advanceTimersByTimeAsync(24_999);
    expect(machine.timedOut).toEqual([1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(machine.timedOut).toEqual([1, 1]);
    peer.reply(1, 'memoryReadReply', {}, DATA).send();
    await settle();
    machine.ask(1, reset(600_000));
    await go();
    await vi.advanceTimersByTimeAsync(599_999);
    expect(machine.timedOut).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(machine.timedOut).toEqual([1, 1, 1]);
  });
});
