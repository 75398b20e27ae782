import type { Socket } from 'node:net';

/** Holds what is written until the tick ends, so that its messages leave in one write. */
export function corkForTick(socket: Socket): void {
  if (socket.writableCorked > 0) return;
  socket.cork();
  process.nextTick(() => socket.uncork());
}
