/** Length-prefixed frames on a TCP stream: four bytes little-endian, then so many bytes of payload. */
import type { Socket } from 'node:net';
import { BULK_BYTES } from './floor.ts';

const PREFIX_BYTES = 4;

/** Frames in, frames out; what is sent in one call goes out in one write. */
export class FrameStream {
  readonly #socket: Socket;
  readonly #onFrames: (payloads: readonly Buffer[]) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFilled = 0;
  /** A payload that came in parts, and how much of it is there. */
  #payload: Buffer | undefined;
  #payloadFilled = 0;

  /** `onFrames` gets all frames that one chunk completed. Small payloads are views on the chunk. */
  constructor(socket: Socket, onFrames: (payloads: readonly Buffer[]) => void) {
    this.#socket = socket;
    this.#onFrames = onFrames;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#split(chunk));
  }

  send(payloads: readonly Uint8Array[]): void {
    const [first] = payloads;
    if (first !== undefined && first.length >= BULK_BYTES) this.#sendBulk(payloads);
    else this.#sendSmall(payloads);
  }

  #sendSmall(payloads: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const payload of payloads) bytes += PREFIX_BYTES + payload.length;
    const out = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const payload of payloads) {
      at = out.writeUInt32LE(payload.length, at);
      out.set(payload, at);
      at += payload.length;
    }
    this.#socket.write(out);
  }

  #sendBulk(payloads: readonly Uint8Array[]): void {
    this.#socket.cork();
    for (const payload of payloads) {
      const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
      prefix.writeUInt32LE(payload.length);
      this.#socket.write(prefix);
      this.#socket.write(payload);
    }
    this.#socket.uncork();
  }

  #split(chunk: Buffer): void {
    const done: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#payload === undefined) at = this.#startFrame(chunk, at, done);
      else at = this.#fillPayload(this.#payload, chunk, at, done);
    }
    if (done.length > 0) this.#onFrames(done);
  }

  #startFrame(chunk: Buffer, start: number, done: Buffer[]): number {
    const copied = chunk.copy(this.#prefix, this.#prefixFilled, start, start + PREFIX_BYTES - this.#prefixFilled);
    const at = start + copied;
    this.#prefixFilled += copied;
    if (this.#prefixFilled < PREFIX_BYTES) return at;
    this.#prefixFilled = 0;
    const bytes = this.#prefix.readUInt32LE();
    if (bytes < BULK_BYTES && at + bytes <= chunk.length) {
      done.push(chunk.subarray(at, at + bytes));
      return at + bytes;
    }
    this.#payload = Buffer.allocUnsafeSlow(bytes);
    this.#payloadFilled = 0;
    return at;
  }

  #fillPayload(payload: Buffer, chunk: Buffer, at: number, done: Buffer[]): number {
    const copied = chunk.copy(payload, this.#payloadFilled, at);
    this.#payloadFilled += copied;
    if (this.#payloadFilled === payload.length) {
      done.push(payload);
      this.#payload = undefined;
    }
    return at + copied;
  }
}
