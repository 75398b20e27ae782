import { CLOSE, FrameError, PacketReader, type CloseCode } from '../../../proto/index.ts';
import {
  CALL_BODY_BYTES_MAX,
  RECEIVE_BUFFER_BYTES_MAX,
  SESSION_TURN_FRAMES_MAX,
  SESSION_TURN_REPLY_BYTES_MAX,
} from '../../../proto/limits.ts';
import type { RpcCounters } from './counters.ts';
import { Fifo } from './fifo.ts';

/** What keeping a message costs besides its bytes: many small ones must not cost more than few large ones. */
const PACKET_OVERHEAD_BYTES = 256;

/** What an inbox needs of its session. */
export interface InboxPort {
  /** One frame, in order. */
  frame(frame: PacketReader): void;
  /** What arrived breaks the framing or a limit. */
  broken(code: CloseCode, reason: string): void;
  /** Handling a frame threw something that is our own mistake. */
  bug(error: unknown): void;
}

/** What has arrived on one connection. Frames are handled as they come, but after a turn's worth others get theirs first. */
export class Inbox {
  readonly #port: InboxPort;
  readonly #counters: RpcCounters;
  readonly #packets = new Fifo<Uint8Array>();
  #packetBytes = 0;
  #reader: PacketReader | undefined;
  #scheduled = false;
  #stopped = false;
  /** Used up of this turn. A turn ends only by waiting for the others, so it may last over several messages. */
  #turnFrames = 0;
  #turnReplyBytes = 0;
  readonly #turn = (): void => {
    this.#scheduled = false;
    this.#turnFrames = 0;
    this.#turnReplyBytes = 0;
    this.#takeTurn();
  };

  constructor(port: InboxPort, counters: RpcCounters) {
    this.#port = port;
    this.#counters = counters;
  }

  message(bytes: Uint8Array): void {
    if (this.#stopped) return;
    this.#counters.bytesReceivedTotal += bytes.length;
    this.#packets.push(bytes);
    this.#packetBytes += bytes.length + PACKET_OVERHEAD_BYTES;
    if (this.#packetBytes > RECEIVE_BUFFER_BYTES_MAX) {
      this.#port.broken(CLOSE.limits, `${this.#packetBytes} bytes are waiting to be handled; wait for replies`);
    } else if (!this.#scheduled) {
      this.#takeTurn();
    }
  }

  /** A reply of this size was made: part of what a turn may do. */
  replied(bytes: number): void {
    this.#turnReplyBytes += bytes;
  }

  /** Drops what has not been handled. */
  stop(): void {
    this.#stopped = true;
    this.#packets.clear();
    this.#reader = undefined;
  }

  #takeTurn(): void {
    try {
      for (let reader = this.#nextReader(); reader !== undefined; reader = this.#nextReader()) {
        while (reader.next()) {
          this.#counters.framesReceivedTotal++;
          this.#port.frame(reader);
          if (this.#stopped) return;
          if (++this.#turnFrames >= SESSION_TURN_FRAMES_MAX || this.#turnReplyBytes >= SESSION_TURN_REPLY_BYTES_MAX) {
            this.#scheduled = true;
            setImmediate(this.#turn);
            return;
          }
        }
        this.#reader = undefined;
      }
    } catch (error) {
      if (error instanceof FrameError) this.#port.broken(error.closeCode, error.message);
      else this.#port.bug(error);
    }
  }

  #nextReader(): PacketReader | undefined {
    if (this.#reader !== undefined) return this.#reader;
    const packet = this.#packets.shift();
    if (packet === undefined) return undefined;
    this.#packetBytes -= packet.length + PACKET_OVERHEAD_BYTES;
    this.#reader = new PacketReader(packet, CALL_BODY_BYTES_MAX);
    return this.#reader;
  }
}
