/** Answers each message with a message: its own bytes where the sizes agree, else as many as it was told. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { announce } from '../harness/index.ts';
import { BULK_BYTES, payload, replyBytesArgument } from './floor.ts';
import { corkForTick } from './tick-cork.ts';

const reply = payload(replyBytesArgument());

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (websocket, { socket }) => {
  socket.setNoDelay(true);
  websocket.on('message', (data: Buffer) => {
    const kept = data.length >= BULK_BYTES ? new Uint8Array(data) : data;
    corkForTick(socket);
    websocket.send(kept.length === reply.length ? kept : reply);
  });
});
server.on('listening', () => announce((server.address() as AddressInfo).port));
