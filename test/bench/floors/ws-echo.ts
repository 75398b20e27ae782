import { startChildServer } from '../harness/index.ts';
import { BULK_BYTES, payload, type Floor, type Sizes } from './floor.ts';
import { corkForTick } from './tick-cork.ts';
import { connectWs } from './ws-connect.ts';

/** Plain websocket messages, one for each request, corked for a tick at both ends; bulk is copied once on arrival. */
export async function openWsEcho(sizes: Sizes): Promise<Floor> {
  const server = await startChildServer(new URL('ws-echo-server.ts', import.meta.url), [sizes.replyBytes]);
  const { websocket, socket } = await connectWs(server.port);
  const request = payload(sizes.requestBytes);
  let kept: Uint8Array = request;
  const floor: Floor = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: (count) => {
      corkForTick(socket);
      for (let i = 0; i < count; i++) websocket.send(request);
    },
    close: async () => {
      websocket.terminate();
      await server.close();
    },
  };
  websocket.on('message', (data: Buffer) => {
    kept = data.length >= BULK_BYTES ? new Uint8Array(data) : data;
    if (kept.length !== sizes.replyBytes) floor.onError(new Error(`a reply of ${kept.length} bytes`));
    floor.onReplies(1);
  });
  websocket.on('error', (error) => floor.onError(error));
  return floor;
}
