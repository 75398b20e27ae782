/** Passes each message of one of its two connections on to the other, as the request or reply that it was told the size of. */
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { announce } from '../harness/index.ts';
import { payload, replyBytesArgument } from './floor.ts';
import { corkForTick } from './tick-cork.ts';

interface End {
  readonly websocket: WebSocket;
  readonly socket: Socket;
}

const reply = payload(replyBytesArgument());
const ends: End[] = [];

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (websocket, { socket }) => {
  socket.setNoDelay(true);
  const isHost = ends.push({ websocket, socket }) === 1;
  websocket.on('message', (data: Buffer) => {
    const other = ends[isHost ? 1 : 0];
    if (other === undefined) return;
    corkForTick(other.socket);
    other.websocket.send(isHost ? data : reply);
  });
});
server.on('listening', () => announce((server.address() as AddressInfo).port));
