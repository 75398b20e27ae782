import { describe, expect, it } from 'vitest';
import type { ClaimedFunction, Connection, DeviceHandlers } from '../../../../client/src/index.ts';
import { BODY, KIND } from '../../../../proto/index.ts';
import { connected, tick, type FakeServer } from './fake-server.ts';

const FUNCTION = 0x20;
const PERFORMED = 1;
const NOT_PRESENT = 2;
const MEGABYTE = 1 << 20;
const u64 = (low: number): object => ({ low, high: 0 });

interface Claimed {
  readonly server: FakeServer;
  readonly connection: Connection;
  readonly device: ClaimedFunction;
}

async function claimed(handlers: DeviceHandlers = {}): Promise<Claimed> {
  const { server, connection } = await connected();
  const claiming = connection.claimDevice('00:04.0', handlers);
  await tick();
  server.reply(1, 'deviceClaimReply', {});
  return { server, connection, device: await claiming };
}

const read = (id: number, offset: number, bytes = 4) =>
  [id, KIND.call, 'regionRead', { function: FUNCTION, region: 0, offset: u64(offset), bytes }] as const;
const write = (id: number, offset: number, value: number) =>
  [id, KIND.call, 'regionWrite', { function: FUNCTION, region: 0, offset: u64(offset), bytes: 4, value: u64(value) }] as const;
const replies = (server: FakeServer) => server.frames.filter((frame) => frame.kind === KIND.reply);

describe('a claimed function', () => {
  it('answers accesses from its handlers, and 0 and nothing without', async () => {
    const written: unknown[] = [];
    const { server } = await claimed({
      onRegionRead: ({ region, offset, bytes }) => BigInt(region * 1000 + offset * 10 + bytes) + (1n << 40n),
      onRegionWrite: (access) => {
        written.push(access);
      },
    });
    server.say(read(1, 8, 8), write(2, 4, -1));
    await tick();
    expect(replies(server)).toMatchObject([
      { id: 1, number: BODY.regionReadReply, body: { value: { low: 88, high: 256 } } },
      { id: 2, number: BODY.regionWriteReply },
    ]);
    expect(written).toEqual([{ region: 0, offset: 4, bytes: 4, value: 0xffff_ffffn }]);

    const bare = await claimed();
    bare.server.say(read(1, 0), write(2, 0, 1));
    await tick();
    expect(replies(bare.server)).toMatchObject([{ body: { value: { low: 0, high: 0 } } }, { number: BODY.regionWriteReply }]);
  });

  it('a read starts when the write before it has settled', async () => {
    let register = 0n;
    let finish = (): void => undefined;
    const { server } = await claimed({
      async onRegionWrite({ value }) {
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
        register = value;
      },
      onRegionRead: () => register,
    });
    server.say(write(1, 0, 42), read(2, 0));
    await tick();
    expect(replies(server)).toEqual([]);
    finish();
    await tick();
    expect(replies(server)).toMatchObject([{ id: 1 }, { id: 2, body: { value: { low: 42 } } }]);
  });

  it('a reset does not wait for an access that hangs, and is answered when the function is ready', async () => {
    const seen: string[] = [];
    let ready = (): void => undefined;
    const { server } = await claimed({
      onRegionWrite: () => new Promise(() => undefined),
      onReset(method) {
        seen.push(method);
        return new Promise<void>((resolve) => {
          ready = resolve;
        });
      },
    });
    server.say(write(1, 0, 1), [2, KIND.call, 'deviceReset', { function: FUNCTION, method: 3 }]);
    await tick();
    expect([seen, replies(server)]).toEqual([['flr'], []]);
    ready();
    await tick();
    expect(replies(server)).toMatchObject([{ id: 2, number: BODY.deviceResetReply }]);
  });

  it('a posted write has no reply, and its failure disturbs nothing', async () => {
    const { server } = await claimed({ onRegionWrite: () => Promise.reject(new Error('broken')) });
    server.say(write(0, 0, 1), read(2, 0));
    await tick();
    expect(replies(server)).toMatchObject([{ id: 2 }]);
  });

  it('a value that no register holds is answered as an error', async () => {
    const { server } = await claimed({ onRegionRead: () => -1 });
    server.say(read(1, 0));
    await tick();
    expect(replies(server)).toMatchObject([{ id: 1, body: { name: 'EINVAL', about: 'value' } }]);
  });

  it('is ENODEV when it was given up, and cannot be claimed twice', async () => {
    const { server, connection, device } = await claimed();
    await expect(connection.claimDevice('00:04.0')).rejects.toMatchObject({ code: 'EEXIST' });
    const releasing = device.release();
    await tick();
    server.reply(1, 'deviceReleaseReply', {});
    await releasing;
    server.say(read(9, 0));
    await tick();
    expect(replies(server).at(-1)).toMatchObject({ id: 9, body: { name: 'ENODEV' } });
  });
});

describe('its alarms', () => {
  it('are set in time of the machine, and answered when the handler has settled, in turn with the accesses', async () => {
    const seen: string[] = [];
    let finish = (): void => undefined;
    const { server, device } = await claimed({
      onAlarm(alarm) {
        seen.push(`alarm ${alarm}`);
        return new Promise<void>((resolve) => {
          finish = resolve;
        });
      },
      onRegionRead: ({ offset }) => (seen.push(`read ${offset}`), 1),
    });
    void device.setAlarm(2, { ms: 1.5, ns: 1 });
    void device.cancelAlarm(3);
    await tick();
    expect(server.calls('deviceAlarmSet').map(({ body }) => body)).toMatchObject([
      { function: FUNCTION, alarm: 2, delayNs: u64(1_500_001) },
      { function: FUNCTION, alarm: 3, delayNs: null },
    ]);
    server.say([7, KIND.call, 'deviceAlarm', { function: FUNCTION, alarm: 2, nowNs: u64(5) }], read(8, 4));
    await tick();
    expect([seen, replies(server)]).toEqual([['alarm 2'], []]);
    finish();
    await tick();
    expect(seen).toEqual(['alarm 2', 'read 4']);
    expect(replies(server)).toMatchObject([{ id: 7, number: BODY.deviceAlarmReply }, { id: 8 }]);
  });
});

describe('the terms of a claim', () => {
  it('are said, and configuration space comes with the answer', async () => {
    const { server, connection } = await connected();
    const claiming = connection.claimDevice('00:04.0', {}, { config: 'emulator', postedWrites: true, widths: [4, 8] });
    await tick();
    expect(server.calls('deviceClaim')[0]?.body).toMatchObject({
      function: FUNCTION,
      config: 2,
      postedWrites: true,
      widths: 12,
      writeMulti: true,
    });
    server.reply(1, 'deviceClaimReply', {}, Uint8Array.of(0x34, 0x12));
    expect((await claiming).config).toEqual(Uint8Array.of(0x34, 0x12));
  });

  it('several writes of one call are made in order, also behind one that fails, whose error is the answer', async () => {
    const seen: number[] = [];
    const { server } = await claimed({
      onRegionWrite({ offset }) {
        seen.push(offset);
        if (offset > 0) throw new Error(`no register ${offset}`);
      },
    });
    const item = (offset: number): object => ({ region: 0, offset: u64(offset), bytes: 4, value: u64(1) });
    server.say([1, KIND.call, 'regionWriteMulti', { function: FUNCTION, writes: [item(4), item(8), item(0)] }] as never);
    await tick();
    expect(seen).toEqual([4, 8, 0]);
    expect(replies(server)).toMatchObject([{ id: 1, body: { name: 'EIO', message: 'no register 4' } }]);
  });
});

describe('its DMA', () => {
  const result = (outcome: number, bytesDone: number, failedIova?: number): object => ({
    result: { outcome, requests: 1, bytesDone, elapsedNs: u64(0), ...(failedIova === undefined ? {} : { failedIova: u64(failedIova) }) },
  });

  it('says what became of it', async () => {
    const { server, device } = await claimed();
    const reading = device.dma.read(0xffff_ffff_ffff_f000n, 2, { pasid: 5 });
    const writing = device.dma.write(0x1000, new Uint8Array([1]));
    await tick();
    expect(server.calls('dmaRead')[0]?.body).toMatchObject({ function: FUNCTION, iova: { low: -4096, high: -1 }, bytes: 2, pasid: 5 });
    server.reply(server.calls('dmaRead')[0]?.id ?? 0, 'dmaReadReply', result(PERFORMED, 2), new Uint8Array([8, 9]));
    server.reply(server.calls('dmaWrite')[0]?.id ?? 0, 'dmaWriteReply', result(NOT_PRESENT, 0, 0x1000));
    expect(await reading).toEqual({ outcome: 'performed', requests: 1, bytes: 2, data: new Uint8Array([8, 9]) });
    expect(await writing).toEqual({ outcome: 'not-present', requests: 1, bytes: 0, failedIova: 0x1000n });
  });

  it('says for whom it is, and what an atomic found', async () => {
    const { server, device } = await claimed();
    const adding = device.dma.atomic(0x1000, { fetchAdd: 3, bytes: 4 }, { pasid: 5, privileged: true });
    void device.dma.read(0x1000, 2, { pasid: 5, privileged: true, execute: true });
    void device.dma.write(0x1000, new Uint8Array([1]), { pasid: 5, privileged: true });
    void device.dma.readList([{ iova: 0x1000, bytes: 2 }], { pasid: 5, privileged: true, execute: true });
    await tick();
    const [call] = server.calls('dmaAtomic');
    expect([call?.body, call?.data]).toMatchObject([
      { function: FUNCTION, iova: { low: 0x1000, high: 0 }, operation: 3, bytes: 4, pasid: 5, privileged: true },
      Uint8Array.of(3, 0, 0, 0),
    ]);
    expect(server.calls('dmaRead')[0]?.body).toMatchObject({ privileged: true, execute: true });
    expect(server.calls('dmaWrite')[0]?.body).toMatchObject({ privileged: true });
    expect(server.calls('dmaList')[0]?.body).toMatchObject({ privileged: true, execute: true });
    server.reply(call?.id ?? 0, 'dmaAtomicReply', result(PERFORMED, 4), Uint8Array.of(9, 0, 0, 0));
    expect(await adding).toMatchObject({ outcome: 'performed', bytes: 4, data: Uint8Array.of(9, 0, 0, 0) });
  });

  it('more than a call carries is split, and stops at the first fault', async () => {
    const { server, device } = await claimed();
    const reading = device.dma.read(0, 3 * MEGABYTE);
    await tick();
    server.reply(1, 'dmaReadReply', result(PERFORMED, MEGABYTE), new Uint8Array(MEGABYTE).fill(1));
    await tick();
    expect(server.calls('dmaRead').map((frame) => (frame.body as { iova: { low: number } }).iova.low)).toEqual([0, MEGABYTE]);
    server.reply(1, 'dmaReadReply', result(NOT_PRESENT, 4096, MEGABYTE + 4096), new Uint8Array(MEGABYTE));
    const whole = await reading;
    expect(whole).toMatchObject({ outcome: 'not-present', requests: 2, bytes: MEGABYTE + 4096, failedIova: BigInt(MEGABYTE + 4096) });
    expect([whole.data?.length, whole.data?.[MEGABYTE - 1], whole.data?.[MEGABYTE]]).toEqual([3 * MEGABYTE, 1, 0]);
    await tick();
    expect(server.calls('dmaRead')).toHaveLength(2);
  });
});
