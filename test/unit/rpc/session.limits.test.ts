import { describe, expect, it, vi } from 'vitest';
import { RawPeer, ROLE, settle, turn } from './raw-peer.ts';
import { EVERY_ROLE, READ, closedWith, setup } from './setup.ts';

describe('credits', () => {
  it.each([
    ['control', 64, (peer: RawPeer, id: number) => peer.call(id, 'resetTrigger', { function: 1, method: 3 })],
    ['access', 1024, (peer: RawPeer, id: number) => peer.call(id, 'regionRead', READ)],
    ['dma', 256, (peer: RawPeer, id: number) => peer.call(id, 'dmaWrite', { function: 1, iova: READ.offset }, Uint8Array.of(1))],
    ['dma bytes', 8, (peer: RawPeer, id: number) => peer.call(id, 'dmaRead', { function: 1, iova: READ.offset, bytes: 1 << 20 })],
    ['memory', 256, (peer: RawPeer, id: number) => peer.call(id, 'memoryRead', { address: READ.offset, bytes: 1 })],
    ['memory bytes', 8, (peer: RawPeer, id: number) => peer.call(id, 'memoryRead', { address: READ.offset, bytes: 1 << 20 })],
  ])('of class %s are %d calls without a reply; one more closes with 1008', async (_what, most, call) => {
    const { machine, greeted } = setup();
    machine.react = () => undefined;
    const peer = await greeted('host', 'device');
    for (let id = 2; id < 2 + most; id++) call(peer, id);
    peer.send();
    await peer.until(() => machine.submitted.length === most);
    await settle();
    expect(peer.closed).toBeUndefined();
    call(peer, 9999).send();
    await closedWith(peer, 1008);
    expect(machine.submitted.length).toBe(most);
  });

  it('are what keeps a send buffer small; one that is not read for 5 s closes with 1013', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { host } = setup();
    const codes: number[] = [];
    const owners: { message(bytes: Uint8Array): void }[] = [];
    host.open(
      { start: (owner) => owners.push(owner), send: () => undefined, bufferedBytes: (32 << 20) + 1, close: (code) => codes.push(code) },
      () => EVERY_ROLE,
    );
    const far = new RawPeer({
      start: () => undefined,
      send: (bytes) => owners[0]?.message(bytes),
      bufferedBytes: 0,
      close: () => undefined,
    });
    far.hello([ROLE.host]).send();
    await vi.advanceTimersByTimeAsync(4999);
    expect(codes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(codes).toEqual([1013]);
    vi.useRealTimers();
  });

  it('come back when the reply has left the send buffer, not before', async () => {
    const { machine, host } = setup();
    const written: (() => void)[] = [];
    let owner: { message(bytes: Uint8Array): void } | undefined;
    const codes: number[] = [];
    host.open(
      {
        start: (given) => {
          owner = given;
        },
        send: (_bytes, done) => written.push(done ?? (() => undefined)),
        bufferedBytes: 0,
        close: (code) => codes.push(code),
      },
      () => EVERY_ROLE,
    );
    const far = new RawPeer({
      start: () => undefined,
      send: (bytes) => owner?.message(bytes),
      bufferedBytes: 0,
      close: () => undefined,
    });
    far.hello([ROLE.host]).send();
    await turn();
    for (let id = 2; id < 2 + 64; id++) far.call(id, 'resetTrigger', { function: 1, method: 3 });
    far.send();
    await settle();
    expect(machine.submitted.length).toBe(64);
    // All are answered, and the first packets are still on this side.
    for (const done of written.splice(0)) done();
    await settle();
    for (let id = 2; id < 2 + 64; id++) far.call(id, 'resetTrigger', { function: 1, method: 3 });
    far.send();
    await settle();
    expect([machine.submitted.length, codes]).toEqual([128, []]);
    far.call(3, 'resetTrigger', { function: 1, method: 3 }).send();
    await settle();
    expect(codes).toEqual([1008]);
  });
});

describe('a broken message', () => {
  it.each([
    [1007, 'garbage', Uint8Array.of(255, 255, 255)],
    [1009, 'a body beyond 60 KiB', bigHello()],
  ])('closes with %d: %s; others go on', async (code, _what, bytes) => {
    const { machine, greeted } = setup();
    const peer = await greeted('host');
    const other = await greeted('host');
    peer.call(2, 'clockInfo', {}).send();
    peer.sendBytes(bytes);
    peer.call(3, 'clockInfo', {}).send();
    await closedWith(peer, code);
    expect(peer.got.map((frame) => frame.id)).toEqual([1, 2]);
    other.call(2, 'clockInfo', {}).send();
    await other.replyTo(2);
    expect(machine.submitted.map((one) => one.peer)).toEqual([1, 2]);
  });

  function bigHello(): Uint8Array {
    const packets: Uint8Array[] = [];
    const wire = { start: () => undefined, send: (bytes: Uint8Array) => packets.push(bytes), bufferedBytes: 0, close: () => undefined };
    new RawPeer(wire).call(2, 'subscribe', { events: Array.from({ length: 62_000 }, () => 1) }).send();
    return packets[0] ?? new Uint8Array();
  }
});

describe('turns', () => {
  it('are 64 frames: then another session has its turn', async () => {
    const { machine, greeted } = setup();
    const first = await greeted('host');
    const second = await greeted('host');
    for (let id = 2; id < 202; id++) first.call(id, 'regionRead', READ);
    for (let id = 2; id < 12; id++) second.call(id, 'regionRead', READ);
    first.send();
    second.send();
    await first.replyTo(201);
    const order = machine.submitted.map((one) => one.peer);
    // Hello was the first frame of the first turn.
    expect(order.slice(0, 74)).toEqual([...Array.from({ length: 63 }, () => 1), ...Array.from({ length: 10 }, () => 2), 1]);
  });

  it('are 1 MiB of replies', async () => {
    const { machine, greeted } = setup();
    machine.react = (command) => ({ kind: 'memory-read', data: new Uint8Array(command.kind === 'memory-read' ? command.bytes : 0) });
    const first = await greeted('host');
    const second = await greeted('host');
    const read = (peer: RawPeer, id: number, bytes: number): RawPeer => peer.call(id, 'memoryRead', { address: READ.offset, bytes });
    for (let id = 2; id < 8; id++) read(first, id, 512 << 10);
    read(second, 2, 1);
    first.send();
    second.send();
    await first.replyTo(7);
    expect(machine.submitted.map((one) => one.peer)).toEqual([1, 1, 2, 1, 1, 1, 1]);
  });

  it('come back to what had to wait, however much was sent', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('host');
    for (let i = 0; i < 80; i++) peer.call(0, 'clockInfo', {});
    for (let i = 0; i < 60; i++) peer.call(0, 'memoryWrite', { address: READ.offset }, new Uint8Array(1 << 20));
    peer.call(2, 'clockInfo', {}).send();
    await peer.replyTo(2);
    expect(machine.submitted.length).toBe(141);
  });

  it('are 64 frames also when each comes in a message of its own', async () => {
    const { machine, greeted } = setup();
    const first = await greeted('host');
    const second = await greeted('host');
    for (let id = 2; id < 202; id++) first.call(id, 'regionRead', READ).send();
    second.call(2, 'regionRead', READ).send();
    await first.replyTo(201);
    expect(machine.submitted.findIndex((one) => one.peer === 2)).toBeLessThanOrEqual(64);
  });

  it('are not cheated by many small messages: each counts for 256 bytes more', async () => {
    const { greeted } = setup();
    const [few, many] = [await greeted('host'), await greeted('host')];
    for (let i = 0; i < 250_000; i++) few.call(0, 'clockInfo', {}).send();
    await settle();
    expect(few.closed).toBeUndefined();
    for (let i = 0; i < 260_000; i++) many.call(0, 'clockInfo', {}).send();
    await closedWith(many, 1008);
  });

  it('do not let what waits for them grow without end: 64 MiB closes with 1008', async () => {
    const { greeted } = setup();
    const peer = await greeted('host');
    const write = new Uint8Array(1 << 20);
    for (let i = 0; i < 64; i++) peer.call(0, 'clockInfo', {});
    for (let i = 0; i < 66; i++) peer.call(0, 'memoryWrite', { address: READ.offset }, write);
    peer.send();
    await closedWith(peer, 1008);
  });
});
