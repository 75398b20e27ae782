import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BODY, KIND } from '../../../proto/index.ts';
import { CallTable } from '../../../server/src/rpc/call-table.ts';
import { Buffers, rpcCounters } from '../../../server/src/rpc/index.ts';
import { Outlet } from '../../../server/src/rpc/outlet.ts';

const MIB = 1 << 20;

/** A wire whose buffer empties only when the test says so. */
class SlowWire {
  readonly packets: Uint8Array[] = [];
  bufferedBytes = 0;
  readonly #written: { readonly bytes: number; readonly done: (() => void) | undefined }[] = [];
  start(): void {}
  close(): void {}
  send(bytes: Uint8Array, done?: () => void): void {
    this.packets.push(bytes);
    this.bufferedBytes += bytes.length;
    this.#written.push({ bytes: bytes.length, done });
  }
  drain(count = this.#written.length): void {
    for (const { bytes, done } of this.#written.splice(0, count)) {
      this.bufferedBytes -= bytes;
      done?.();
    }
  }
}

let wire: SlowWire;
let outlet: Outlet;
let buffers: Buffers;
const counters = rpcCounters();
const written = vi.fn<() => void>();
const stuck = vi.fn<() => void>();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  wire = new SlowWire();
  buffers = new Buffers();
  outlet = new Outlet(wire, new CallTable(), { counters, buffers }, { written, stuck });
});
afterEach(() => {
  vi.useRealTimers();
  vi.clearAllMocks();
});

const event = (): number => outlet.add(1, KIND.event, BODY.lost, { from: 1, to: 2 });
const bulk = (): number => outlet.add(1, KIND.reply, BODY.memoryReadReply, {}, new Uint8Array(MIB));

describe('an outlet', () => {
  it('sends all frames of a tick in one packet, and nothing later than the tick', async () => {
    for (let i = 0; i < 10; i++) event();
    expect(wire.packets.length).toBe(0);
    await Promise.resolve();
    expect(wire.packets.length).toBe(1);
    event();
    await Promise.resolve();
    expect(wire.packets.length).toBe(2);
  });

  it('has no room for events when 1 MiB waits, gathered or sent', () => {
    expect(outlet.hasRoomForEvents).toBe(true);
    outlet.add(1, KIND.reply, BODY.memoryReadReply, {}, new Uint8Array(MIB - 100));
    expect(outlet.hasRoomForEvents).toBe(true);
    for (let i = 0; i < 20; i++) event();
    expect(outlet.hasRoomForEvents).toBe(false);
    wire.drain();
    expect(outlet.hasRoomForEvents).toBe(true);
    expect(written).toHaveBeenCalledOnce();
  });

  it('uses the bytes of a packet again when it has left, and not before', () => {
    const packetOf = (fill: number): Uint8Array => {
      outlet.add(1, KIND.reply, BODY.memoryReadReply, {}, new Uint8Array(64 * 1024).fill(fill));
      return wire.packets.at(-1)!;
    };
    // The writer holds the next packet's bytes already when one is sent.
    const packets = [1, 2, 3].map(packetOf);
    expect(new Set(packets.map(({ buffer }) => buffer)).size).toBe(3);
    expect(packets.map((packet) => packet[1000])).toEqual([1, 2, 3]);
    wire.drain(2);
    const later = [packetOf(4), packetOf(5)];
    expect(later.some(({ buffer }) => buffer === packets[1]!.buffer)).toBe(true);
    expect(packets[2]![1000]).toBe(3);
  });

  it('is stuck when more than 32 MiB stay in its buffer for 5 s', () => {
    for (let i = 0; i < 33; i++) bulk();
    vi.advanceTimersByTime(4999);
    expect(stuck).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(stuck).toHaveBeenCalledOnce();
  });

  it('is not stuck when it was under that in between, or never above', () => {
    for (let i = 0; i < 31; i++) bulk();
    vi.advanceTimersByTime(10_000);
    for (let i = 0; i < 2; i++) bulk();
    vi.advanceTimersByTime(4000);
    wire.drain(2);
    vi.advanceTimersByTime(10_000);
    for (let i = 0; i < 2; i++) bulk();
    vi.advanceTimersByTime(4999);
    expect(stuck).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(stuck).toHaveBeenCalledOnce();
  });

  it('sends what it has when it is stopped, and then nothing', async () => {
    event();
    outlet.stop();
    expect(wire.packets.length).toBe(1);
    event();
    await Promise.resolve();
    wire.drain();
    expect(wire.packets.length).toBe(1);
    expect(written).not.toHaveBeenCalled();
  });
});
