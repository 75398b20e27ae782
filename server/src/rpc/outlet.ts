import { PacketWriter, type FrameKind, type PacketLimits } from '../../../proto/index.ts';
import { EVENT_BUFFER_BYTES_MAX, SEND_BUFFER_BYTES_MAX, SEND_BUFFER_OVER_MS } from '../../../proto/limits.ts';
import type { Buffers } from './buffers.ts';
import type { CallTable, Settled } from './call-table.ts';
import type { RpcCounters } from './counters.ts';
import { Fifo } from './fifo.ts';
import type { Wire } from './wire.ts';

/** What an outlet tells its session. */
export interface OutletPort {
  /** A packet has left the send buffer: there may be room for more events. */
  written(): void;
  /** The send buffer has been over its limit for too long. */
  stuck(): void;
}

/** What outlets share. */
export interface OutletMeans {
  readonly counters: RpcCounters;
  readonly buffers: Buffers;
}

interface SentPacket {
  readonly packet: Uint8Array;
  readonly settled: Settled;
}

/** What one connection is sent: all frames of a tick in one packet, and the credits of the calls that it answers back when it has left. */
export class Outlet {
  readonly #wire: Wire;
  readonly #calls: CallTable;
  readonly #counters: RpcCounters;
  readonly #port: OutletPort;
  readonly #buffers: Buffers;
  readonly #writer: PacketWriter;
  /** One for each packet in the send buffer. */
  readonly #inBuffer = new Fifo<SentPacket>();
  #flushQueued = false;
  #closed = false;
  #over: NodeJS.Timeout | undefined;
  readonly #flush = (): void => {
    this.#flushQueued = false;
    this.#writer.flush();
  };
  readonly #written = (): void => {
    const sent = this.#inBuffer.shift();
    if (sent !== undefined) {
      this.#calls.giveBack(sent.settled);
      this.#buffers.give(sent.packet);
    }
    if (this.#closed) return;
    if (this.#over !== undefined) this.#watchBuffer();
    this.#port.written();
  };

  constructor(wire: Wire, calls: CallTable, { counters, buffers }: OutletMeans, port: OutletPort) {
    this.#wire = wire;
    this.#calls = calls;
    this.#counters = counters;
    this.#buffers = buffers;
    this.#port = port;
    this.#writer = new PacketWriter(
      (packet) => this.#send(packet),
      (bytes) => buffers.take(bytes),
    );
  }

  /** False while the receiver has so much to read that events must wait. */
  get hasRoomForEvents(): boolean {
    return this.#wire.bufferedBytes + this.#writer.pendingBytes < EVENT_BUFFER_BYTES_MAX;
  }

  /** What the receiver accepts. */
  limit(limits: PacketLimits): void {
    this.#writer.limit(limits);
  }

  /** Adds a frame to this tick's packet, and returns its bytes. Throws {@link FrameError} for one that does not fit. */
  add(id: number, kind: FrameKind, number: number, body: object, data?: Uint8Array): number {
    if (this.#closed) return 0;
    const bytes = this.#writer.add(id, kind, number, body, data);
    this.#counters.framesSentTotal++;
    if (!this.#flushQueued) {
      this.#flushQueued = true;
      if (this.#wire.atTickEnd === undefined) queueMicrotask(this.#flush);
      else this.#wire.atTickEnd(this.#flush);
    }
    return bytes;
  }

  /** Sends what was added without waiting for the tick's end. */
  flush(): void {
    this.#flush();
  }

  /** Sends what was added and nothing more. */
  stop(): void {
    this.#writer.flush();
    this.#closed = true;
    clearTimeout(this.#over);
  }

  #send(packet: Uint8Array): void {
    this.#counters.bytesSentTotal += packet.length;
    this.#inBuffer.push({ packet, settled: this.#calls.takeSettled() });
    this.#wire.send(packet, this.#written);
    if (this.#over === undefined) this.#watchBuffer();
  }

  #watchBuffer(): void {
    const over = this.#wire.bufferedBytes > SEND_BUFFER_BYTES_MAX;
    if (over && this.#over === undefined) {
      this.#over = setTimeout(() => this.#port.stuck(), SEND_BUFFER_OVER_MS).unref();
    } else if (!over && this.#over !== undefined) {
      clearTimeout(this.#over);
      this.#over = undefined;
    }
  }
}
