import { startChildServer } from '../harness/index.ts';
import { payload, type Floor, type Sizes } from './floor.ts';
import { corkForTick } from './tick-cork.ts';
import { connectWs } from './ws-connect.ts';

/**
 * What a function in another program costs plain websockets: a request goes to the server, from it over a second connection to this process again, and the
 * reply the same way back. For small messages.
 */
export async function openWsRelay(sizes: Sizes): Promise<Floor> {
  const server = await startChildServer(new URL('ws-relay-server.ts', import.meta.url), [sizes.replyBytes]);
  const host = await connectWs(server.port);
  const emulator = await connectWs(server.port);
  const [request, reply] = [payload(sizes.requestBytes), payload(sizes.replyBytes)];
  emulator.websocket.on('message', () => {
    corkForTick(emulator.socket);
    emulator.websocket.send(reply);
  });
  const floor: Floor = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: (count) => {
      corkForTick(host.socket);
      for (let i = 0; i < count; i++) host.websocket.send(request);
    },
    close: async () => {
      host.websocket.terminate();
      emulator.websocket.terminate();
      await server.close();
    },
  };
  host.websocket.on('message', (data: Buffer) => {
    if (data.length !== reply.length) floor.onError(new Error(`a reply of ${data.length} bytes`));
    floor.onReplies(1);
  });
  for (const { websocket } of [host, emulator]) websocket.on('error', (error) => floor.onError(error));
  return floor;
}
