import { afterEach, describe, expect, it, vi } from 'vitest';
import { BODY, KIND, type iommud } from '../../../proto/index.ts';
import { ROLE, joined, type RawPeer } from './raw-peer.ts';
import { closedWith, setup } from './setup.ts';

afterEach(() => {
  vi.useRealTimers();
});

describe('Hello', () => {
  it('is answered with what is granted, and with what the machine is', async () => {
    const { machine, connect } = setup();
    const peer = connect(() => ({ roles: ['host', 'observer'] }))
      .hello([ROLE.host, ROLE.device, ROLE.observer], { features: ['unheard-of'] })
      .send();
    const reply = (await peer.replyTo(1)).body as unknown as iommud.v1.HelloReply;
    expect(reply).toMatchObject({ product: 'iommud', productVersion: '9.9.9', contractVersion: '1.2', machine: 'm1', preset: 'basic' });
    expect([reply.roles, reply.features]).toEqual([[ROLE.host, ROLE.observer], []]);
    expect(reply.pageBytes.map((bytes) => bytes.low)).toEqual([4096, 2 << 20]);
    expect(reply.limits).toMatchObject({ frameBytesMax: 0x11_0000, packetBytesMax: 0x4_0000, dmaBytesMax: 0x10_0000 });
    expect(reply.credits.map(({ class: at, calls, replyBytes }) => [at, calls, replyBytes])).toEqual([
      [1, 64, 0],
      [2, 1024, 1 << 20],
      [3, 256, 8 << 20],
      [4, 256, 8 << 20],
    ]);
    expect(machine.attached).toEqual([{ peer: 1, roles: { host: true, device: false, memory: false, observer: true } }]);
  });

  it.each([
    ['product', { product: null }],
    ['product', { product: '' }],
    ['product', { product: 'x'.repeat(65) }],
    ['product_version', { productVersion: null }],
    ['contract_version', { contractVersion: null }],
    ['contract_version', { contractVersion: '2.0' }],
    ['roles', { roles: [] }],
    ['roles', { roles: [0] }],
    ['roles', { roles: [9] }],
    ['roles', { roles: Array.from({ length: 65 }, () => 1) }],
    ['features', { features: Array.from({ length: 65 }, () => 'f') }],
    ['features', { features: ['f'.repeat(65)] }],
    ['token', { token: 't'.repeat(4097) }],
    ['limits.frame_bytes_max', { limits: { frameBytesMax: 4095 } }],
    // A memory owner is sent writes of 1 MiB in one frame.
    ['limits.frame_bytes_max', { roles: [ROLE.memory], limits: { frameBytesMax: 0x11_0000 - 1 } }],
    ['credits.class', { credits: [{ class: 0, calls: 1 }] }],
    ['credits.class', { credits: [{ class: 9, calls: 1 }] }],
    ['credits.calls', { roles: [ROLE.memory], credits: [{ class: 4, calls: 0 }] }],
    ['credits.calls', { roles: [ROLE.device], credits: [{ class: 2, replyBytes: 5 }] }],
  ])('with %s that cannot be is EINVAL and ends with 1008: %j', async (field, wrong) => {
    const { machine, connect } = setup();
    const peer = connect().hello([ROLE.host], wrong).send();
    expect((await peer.replyTo(1)).body).toMatchObject({ code: 22, name: 'EINVAL', about: field });
    expect(await closedWith(peer, 1008)).toContain(field);
    expect(machine.attached).toEqual([]);
  });

  it('takes everything at its bound', async () => {
    const most = {
      product: 'p'.repeat(64),
      productVersion: 'v'.repeat(64),
      roles: Array.from({ length: 64 }, () => ROLE.host),
      features: Array.from({ length: 64 }, () => 'f'.repeat(64)),
      token: 't'.repeat(4096),
      limits: { frameBytesMax: 4096 },
    };
    const peer = setup().connect().hello([], most).send();
    expect((await peer.replyTo(1)).number).toBe(BODY.helloReply);
  });

  it('takes another minor version', async () => {
    const peer = setup().connect().hello([ROLE.host], { contractVersion: '1.7' }).send();
    expect((await peer.replyTo(1)).number).toBe(BODY.helloReply);
  });

  it('is EPERM when the token opens nothing, or none of the roles', async () => {
    const tokens: (string | undefined)[] = [];
    const { host } = setup();
    const peer = joined((wire) =>
      host.open(wire, (token) => {
        tokens.push(token);
        return undefined;
      }),
    );
    peer.hello([ROLE.host], { token: 'secret' }).send();
    expect((await peer.replyTo(1)).body).toMatchObject({ code: 1, about: 'token' });
    await closedWith(peer, 1008);
    expect(tokens).toEqual(['secret']);
    const other = joined((wire) => host.open(wire, () => ({ roles: ['observer'] })))
      .hello([ROLE.host])
      .send();
    expect((await other.replyTo(1)).body).toMatchObject({ code: 1, about: 'roles' });
    await closedWith(other, 1008);
  });

  it.each([
    ['a call', (peer: RawPeer) => peer.call(1, 'machineInfo', {})],
    ['a reply', (peer: RawPeer) => peer.reply(1, 'regionReadReply')],
    ['an event', (peer: RawPeer) => peer.add(0, KIND.event, BODY.draining)],
    ['a cancel', (peer: RawPeer) => peer.add(1, KIND.cancel, 0)],
    ['a Hello without an id', (peer: RawPeer) => peer.call(0, 'hello', {})],
  ])('comes first: %s closes with 1002', async (_what, first) => {
    const { machine, connect } = setup();
    const peer = connect();
    first(peer).send();
    await closedWith(peer, 1002);
    expect([peer.got, machine.submitted]).toEqual([[], []]);
  });

  it('comes once', async () => {
    const peer = await setup().greeted('host');
    peer.hello([ROLE.host]).send();
    await closedWith(peer, 1002);
  });

  it('comes within 10 s', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { connect, greeted, host } = setup();
    const silent = connect();
    await greeted('host');
    await vi.advanceTimersByTimeAsync(9_999);
    expect(host.sessions).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    await closedWith(silent, 1008);
    expect(host.sessions).toBe(1);
  });

  it('bounds what the session sends', async () => {
    const { machine, connect } = setup();
    machine.react = (command) => ({ kind: 'memory-read', data: new Uint8Array(command.kind === 'memory-read' ? command.bytes : 0) });
    const peer = connect()
      .hello([ROLE.host], { limits: { frameBytesMax: 5000, packetBytesMax: 1000, packetFramesMax: 2 } })
      .send();
    await peer.replyTo(1);
    const at = { low: 0, high: 0 };
    for (let id = 2; id <= 6; id++) peer.call(id, 'memoryRead', { address: at, bytes: 10 });
    peer.call(7, 'memoryRead', { address: at, bytes: 5000 }).send();
    expect((await peer.replyTo(7)).body).toMatchObject({ name: 'ENOSPC' });
    expect(peer.packets.length).toBe(4);
  });
});
