import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';

/** An open websocket to a floor's server, and the socket under it. */
export async function connectWs(port: number): Promise<{ readonly websocket: WebSocket; readonly socket: Socket }> {
  const websocket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false });
  const upgraded = once(websocket, 'upgrade') as Promise<[IncomingMessage]>;
  await once(websocket, 'open');
  const [{ socket }] = await upgraded;
  socket.setNoDelay(true);
  return { websocket, socket };
}
