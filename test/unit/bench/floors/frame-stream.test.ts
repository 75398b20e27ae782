import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameStream } from '../../../bench/floors/frame-stream.ts';

/** Keeps what is written; `data` is emitted by the test. */
class Wire extends EventEmitter {
  readonly writes: Uint8Array[] = [];
  setNoDelay(): void {}
  cork(): void {}
  uncork(): void {}
  write(bytes: Uint8Array): boolean {
    this.writes.push(Buffer.from(bytes));
    return true;
  }
}

function streamOn(wire: Wire, onFrames: (frames: readonly Buffer[]) => void): FrameStream {
  return new FrameStream(wire as unknown as Socket, onFrames);
}

function payload(bytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 31 + seed) & 0xff));
}

it('gives back what was sent, however the stream is cut', () => {
  const sizes = fc.array(fc.oneof(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 4090, max: 9000 })), { minLength: 1, maxLength: 8 });
  const cuts = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 });
  fc.assert(
    fc.property(sizes, cuts, (lengths, chunkBytes) => {
      const sender = new Wire();
      const sent = lengths.map(payload);
      for (const frame of sent) streamOn(sender, () => undefined).send([frame]);
      const bytes = Buffer.concat(sender.writes);

      const receiver = new Wire();
      const received: Buffer[] = [];
      streamOn(receiver, (frames) => received.push(...frames.map((frame) => Buffer.from(frame))));
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const next = at + (chunkBytes[i % chunkBytes.length] ?? 1);
        receiver.emit('data', bytes.subarray(at, next));
        at = next;
      }
      expect(received.map((frame) => frame.length)).toEqual(lengths);
      expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
    }),
  );
});

it('writes the small frames of one call at once', () => {
  const wire = new Wire();
  streamOn(wire, () => undefined).send([payload(3, 0), payload(2, 9)]);
  expect(wire.writes).toEqual([Buffer.from([3, 0, 0, 0, 0, 31, 62, 2, 0, 0, 0, 9, 40])]);
});

it('hands over all frames of a chunk together', () => {
  const wire = new Wire();
  const batches: number[] = [];
  streamOn(wire, (frames) => batches.push(frames.length));
  wire.emit('data', Buffer.from([1, 0, 0, 0, 7, 1, 0, 0, 0, 8, 1, 0]));
  wire.emit('data', Buffer.from([0, 0]));
  wire.emit('data', Buffer.from([9]));
  expect(batches).toEqual([2, 1]);
});

it('keeps a bulk frame apart from the chunk that brought it', () => {
  const wire = new Wire();
  let kept: Buffer | undefined;
  streamOn(wire, ([frame]) => {
    kept = frame;
  });
  const chunk = Buffer.concat([Buffer.from([0, 16, 0, 0]), payload(4096, 1)]);
  wire.emit('data', chunk);
  chunk.fill(0);
  expect(kept).toEqual(payload(4096, 1));
});
