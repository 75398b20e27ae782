import { once } from 'node:events';
import { connect } from 'node:net';
import { startChildServer } from '../harness/index.ts';
import { payload, type Floor, type Sizes } from './floor.ts';
import { FrameStream } from './frame-stream.ts';

/** Plain length-prefixed TCP; the frames of a tick go out in one write at both ends. */
export async function openTcpEcho(sizes: Sizes): Promise<Floor> {
  const server = await startChildServer(new URL('tcp-echo-server.ts', import.meta.url), [sizes.replyBytes]);
  const socket = connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  const request = payload(sizes.requestBytes);
  const batch: Buffer[] = [];
  const stream = new FrameStream(socket, (frames) => floor.onReplies(frames.length));
  const floor: Floor = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: (count) => {
      while (batch.length < count) batch.push(request);
      stream.send(batch.length === count ? batch : batch.slice(0, count));
    },
    close: async () => {
      socket.destroy();
      await server.close();
    },
  };
  socket.on('error', (error) => floor.onError(error));
  return floor;
}
