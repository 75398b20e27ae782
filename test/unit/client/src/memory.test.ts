import { describe, expect, it } from 'vitest';
import { partsOf } from '../../../../client/src/memory.ts';
import { connected, tick } from './fake-server.ts';

const MEGABYTE = 1 << 20;
const addressOf = (body: object | undefined): number => (body as { address: { low: number } }).address.low;

describe('memory', () => {
  it('more than one call carries goes in several, which are one again', async () => {
    const { server, connection } = await connected();
    const { memory } = connection.machine;
    const reading = memory.read(0x1000, 2 * MEGABYTE + 5);
    await tick();
    const calls = server.calls('memoryRead');
    expect(calls.map((frame) => [addressOf(frame.body), (frame.body as { bytes: number }).bytes])).toEqual([
      [0x1000, MEGABYTE],
      [0x1000 + MEGABYTE, MEGABYTE],
      [0x1000 + 2 * MEGABYTE, 5],
    ]);
    for (const [index, frame] of calls.entries()) {
      server.reply(frame.id, 'memoryReadReply', {}, new Uint8Array((frame.body as { bytes: number }).bytes).fill(index + 1));
    }
    const whole = await reading;
    expect([whole.length, whole[0], whole[MEGABYTE], whole[2 * MEGABYTE + 4]]).toEqual([2 * MEGABYTE + 5, 1, 2, 3]);

    const writing = memory.write(0, whole);
    await tick();
    expect(server.calls('memoryWrite').map((frame) => [addressOf(frame.body), frame.data?.length])).toEqual([
      [0, MEGABYTE],
      [MEGABYTE, MEGABYTE],
      [2 * MEGABYTE, 5],
    ]);
    for (const frame of server.calls('memoryWrite')) server.reply(frame.id, 'memoryWriteReply', {});
    await writing;
  });

  it('text is written as UTF-8', async () => {
    const { server, connection } = await connected();
    const writing = connection.machine.memory.write(0, 'é');
    await tick();
    expect([...(server.calls('memoryWrite')[0]?.data ?? [])]).toEqual([0xc3, 0xa9]);
    server.reply(1, 'memoryWriteReply', {});
    await writing;
  });
});

describe('partsOf', () => {
  it('has no part for nothing and no short part in front', () => {
    expect(partsOf(0)).toEqual([]);
    expect(partsOf(MEGABYTE)).toEqual([[0, MEGABYTE]]);
    expect(partsOf(MEGABYTE + 1)).toEqual([
      [0, MEGABYTE],
      [MEGABYTE, 1],
    ]);
  });
});
