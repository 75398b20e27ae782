import { afterEach, describe, expect, it, vi } from 'vitest';
import { BODY } from '../../../proto/index.ts';
import type { Command, MachineEvent } from '../../../server/src/core/machine/index.ts';
import { MachineHost, rpcCounters, type RpcLogLine } from '../../../server/src/rpc/index.ts';
import { FakeMachine, malformed, type Submitted } from './fake-machine.ts';
import { joined, settle } from './raw-peer.ts';
import { EVERY_ROLE, FAULT, READ, WELCOME, closedWith, setup } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

const CLOCK: Command = { kind: 'clock-info' };
const held = (machine: FakeMachine, at = 0): Submitted => machine.submitted[at] ?? malformed('nothing was submitted');

describe('the embedding program', () => {
  it('calls as peer 0 on the same way as sessions', async () => {
    const { machine, host } = setup();
    expect(await host.call(CLOCK)).toEqual({ kind: 'clock', nowNs: 11, movedNs: 0 });
    expect(machine.submitted).toEqual([{ peer: 0, token: 1, command: CLOCK }]);
  });

  it('gets refusals as replies, and rejections for what is malformed', async () => {
    const { machine, host } = setup();
    const refused = { kind: 'refused', code: 'EBUSY', message: 'm', about: 'a', elapsedNs: 0 } as const;
    machine.react = () => refused;
    expect(await host.call(CLOCK)).toEqual(refused);
    machine.react = () => malformed('offset');
    await expect(host.call(CLOCK)).rejects.toMatchObject({ code: 'EINVAL', field: 'offset' });
  });

  it('gets a late reply, also when a session’s input brings it', async () => {
    const { machine, host, greeted } = setup();
    machine.react = () => undefined;
    const late = host.call(CLOCK);
    machine.react = () => {
      machine.reply(held(machine), { kind: 'clock', nowNs: 5, movedNs: 5 });
      return undefined;
    };
    (await greeted('host')).call(2, 'clockInfo', {}).send();
    expect(await late).toMatchObject({ nowNs: 5 });
  });

  it('hears every event until it does not want to', async () => {
    const { machine, host } = setup();
    const heard: MachineEvent[] = [];
    const stop = host.listen((event) => heard.push(event));
    machine.event(FAULT);
    await host.call(CLOCK);
    stop();
    machine.event(FAULT);
    await host.call(CLOCK);
    expect(heard).toEqual([FAULT]);
  });

  it('may call from a listener without overtaking what is being handed on', async () => {
    const { machine, host, greeted } = setup();
    const peer = await greeted('host');
    let again: Promise<unknown> | undefined;
    host.listen(() => {
      again ??= host.call({ kind: 'trace-hash' });
    });
    machine.react = (command) => {
      if (command.kind !== 'clock-info') return { kind: 'trace-hash', hash: 'x' };
      machine.event(FAULT);
      machine.event(FAULT);
      return { kind: 'clock', nowNs: 0, movedNs: 0 };
    };
    peer.call(2, 'clockInfo', {}).send();
    await peer.replyTo(2);
    expect(await again).toEqual({ kind: 'trace-hash', hash: 'x' });
    expect(peer.got.slice(1).map((frame) => frame.number)).toEqual([BODY.faultEvent, BODY.faultEvent, BODY.clockInfoReply]);
  });
});

describe('a drain', () => {
  it('of a machine at rest ends at once: Draining, 1001, no new connections or calls', async () => {
    const { host, greeted, connect } = setup();
    const [peer, silent] = [await greeted('host'), connect()];
    await settle();
    await host.drain(500);
    expect(await closedWith(peer, 1001)).toBe('the service is stopping');
    await closedWith(silent, 1001);
    expect(peer.events('draining')).toMatchObject([{ id: 0, body: { deadlineMs: 500 } }]);
    await closedWith(connect(), 1001);
    await expect(host.call(CLOCK)).rejects.toMatchObject({ code: 'ESHUTDOWN' });
    expect(host.state).toBe('closed');
  });

  it('refuses new calls with ESHUTDOWN and lets those in flight end, with what they need of peers', async () => {
    const { machine, host, greeted } = setup();
    machine.react = () => undefined;
    const [peer, owner] = [await greeted('host'), await greeted('memory')];
    peer.call(2, 'memoryRead', { address: READ.offset, bytes: 2 }).send();
    await peer.until(() => machine.submitted.length === 1);
    machine.ask(2, { kind: 'memory-read', address: 0n, bytes: 2, epoch: 0 });
    machine.onAnswer = () => {
      machine.reply(held(machine), { kind: 'memory-read', data: Uint8Array.of(1, 2) });
      return undefined;
    };
    owner.call(0, 'clockInfo', {}).send();
    await owner.until(() => owner.calls().length === 1);
    const drained = host.drain(60_000);
    peer.call(3, 'clockInfo', {}).call(0, 'clockInfo', {}).send();
    expect((await peer.replyTo(3)).body).toMatchObject({ code: 108, name: 'ESHUTDOWN' });
    expect(machine.submitted.length).toBe(2);
    owner.reply(1, 'memoryReadReply', {}, Uint8Array.of(1, 2)).send();
    await drained;
    expect((await peer.replyTo(2)).data).toEqual(Uint8Array.of(1, 2));
    await closedWith(peer, 1001);
  });

  it('answers what has not ended by its deadline with ESHUTDOWN', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { machine, host, greeted } = setup();
    machine.react = () => undefined;
    const peer = await greeted('host');
    peer.call(2, 'clockInfo', {}).send();
    await peer.until(() => machine.submitted.length === 1);
    const own = host.call(CLOCK).catch((error: unknown) => error);
    const drained = host.drain(500);
    await vi.advanceTimersByTimeAsync(499);
    expect(host.state).toBe('draining');
    await vi.advanceTimersByTimeAsync(1);
    await drained;
    expect(await own).toMatchObject({ code: 'ESHUTDOWN' });
    expect((await peer.replyTo(2)).body).toMatchObject({ code: 108 });
    await closedWith(peer, 1001);
  });
});

describe('a bug of ours', () => {
  it('ends its machine with 1011, is logged with the seed, and touches no other machine', async () => {
    const lines: RpcLogLine[] = [];
    const crashed: unknown[] = [];
    const counters = rpcCounters();
    const broken = setup({ log: (line) => lines.push(line), onCrash: (error) => crashed.push(error), counters });
    const fine = setup({ counters });
    const [a, b, other] = [await broken.greeted('host'), await broken.greeted('observer'), await fine.greeted('host')];
    broken.machine.react = () => undefined;
    const own = broken.host.call(CLOCK).catch((error: unknown) => error);
    const bug = new Error('impossible');
    broken.machine.react = () => {
      throw bug;
    };
    a.call(2, 'clockInfo', {}).send();
    await closedWith(a, 1011);
    await closedWith(b, 1011);
    expect(await own).toMatchObject({ code: 'ESHUTDOWN' });
    const line = lines.find((one) => one.level === 'error');
    expect(line).toMatchObject({ machine: 'm1', error: bug });
    expect(line?.text).toContain('impossible; seed 7');
    expect([crashed, counters.crashesTotal, broken.host.state]).toEqual([[bug], 1, 'closed']);
    other.call(2, 'clockInfo', {}).send();
    await other.replyTo(2);
    await closedWith(broken.connect(), 1001);
  });

  it.each([
    ['in an answer', (machine: FakeMachine) => (machine.onAnswer = () => boom())],
    ['in what is sent', (machine: FakeMachine) => (machine.react = () => ({ kind: 'clock', nowNs: -1, movedNs: 0 }))],
    ['when a peer goes', (machine: FakeMachine) => (machine.peerDetach = boom)],
  ])('is met %s as well', async (_where, plant) => {
    const { machine, host, greeted } = setup();
    const peer = await greeted('host', 'memory');
    machine.ask(1, { kind: 'memory-fence', address: 0n, bytes: 1n, epoch: 0 });
    await host.call({ kind: 'trace-hash' });
    await settle();
    plant(machine);
    peer.reply(1, 'memoryFenceReply').call(2, 'clockInfo', {}).send();
    await settle();
    peer.close();
    await settle();
    expect([host.state, host.counters.crashesTotal]).toEqual(['closed', 1]);
  });

  function boom(): never {
    throw new Error('boom');
  }
});

describe('a host', () => {
  it('counts', async () => {
    const { machine, host, greeted } = setup();
    const peer = await greeted('host');
    machine.react = () => {
      machine.event(FAULT);
      machine.event({ kind: 'window', bdf: 16, open: true, depth: 1, timeNs: 0 } as unknown as MachineEvent);
      machine.event({ kind: 'window', bdf: 16, open: false, depth: 0, timeNs: 0 } as unknown as MachineEvent);
      return { kind: 'refused', code: 'EBUSY', message: '', about: '', elapsedNs: 0 };
    };
    peer.call(2, 'clockInfo', {}).send();
    await peer.replyTo(2);
    const { bytesReceivedTotal, bytesSentTotal, ...rest } = host.counters;
    expect(rest).toEqual({
      sessions: 1,
      sessionsTotal: 1,
      framesReceivedTotal: 2,
      framesSentTotal: 5,
      callsTotal: 1,
      errorsTotal: 1,
      eventsLostTotal: 0,
      peerMistakesTotal: 0,
      peerTimeoutsTotal: 0,
      resetsTotal: 1,
      faultsTotal: 1,
      crashesTotal: 0,
    });
    expect(bytesSentTotal).toBe(peer.packets.reduce((sum, packet) => sum + packet.length, 0));
    expect(bytesReceivedTotal).toBeGreaterThan(20);
    peer.close();
    await peer.until(() => host.sessions === 0);
    expect(host.counters.sessions).toBe(0);
  });

  it('takes 256 connections; another is closed with 1013', async () => {
    const { host, connect } = setup();
    const peers = Array.from({ length: 256 }, () => connect());
    await closedWith(connect(), 1013);
    expect(host.sessions).toBe(256);
    peers[0]?.close();
    await settle();
    connect();
    expect(host.sessions).toBe(256);
  });

  it('tells its machine, its log and its owner of peers that are gone', async () => {
    const gone: number[] = [];
    const lines: string[] = [];
    const { machine, greeted } = setup({ onGone: (peers) => gone.push(peers), log: (line) => lines.push(`${line.level} ${line.text}`) });
    const [a, b] = [await greeted('host'), await greeted('device')];
    a.close();
    await a.until(() => gone.length === 1);
    b.close();
    await b.until(() => gone.length === 2);
    expect([gone, machine.detached]).toEqual([
      [1, 0],
      [1, 2],
    ]);
    expect(lines).toEqual([
      'info test 0 connected',
      'info test 0 connected',
      'info test 0 is gone: 1000 done',
      'info test 0 is gone: 1000 done',
    ]);
  });

  it('closes all when it is closed', async () => {
    const { machine, host, greeted } = setup();
    const peer = await greeted('host');
    machine.react = () => undefined;
    const own = host.call(CLOCK).catch((error: unknown) => error);
    host.close();
    expect(await own).toMatchObject({ code: 'ESHUTDOWN' });
    expect(await closedWith(peer, 1001)).toBe('the machine was deleted');
    host.close();
    expect(host.sessions).toBe(0);
  });

  it('serves a machine that has no trace', async () => {
    const machine = new FakeMachine();
    delete machine.trace;
    const host = new MachineHost(machine, { welcome: WELCOME, seed: 1 });
    const peer = joined((wire) => host.open(wire, () => EVERY_ROLE))
      .hello([4])
      .send();
    peer.call(2, 'subscribe', { events: [5] }).send();
    expect((await peer.replyTo(2)).body).toMatchObject({ name: 'EOPNOTSUPP' });
  });
});
