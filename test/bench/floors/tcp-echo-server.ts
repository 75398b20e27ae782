/** Answers each frame with a frame: its own bytes where the sizes agree, else as many as it was told. */
import { createServer, type AddressInfo } from 'node:net';
import { announce } from '../harness/index.ts';
import { payload, replyBytesArgument } from './floor.ts';
import { FrameStream } from './frame-stream.ts';

const reply = payload(replyBytesArgument());

const server = createServer((socket) => {
  const stream = new FrameStream(socket, (frames) => stream.send(frames.map((frame) => (frame.length === reply.length ? frame : reply))));
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => announce((server.address() as AddressInfo).port));
