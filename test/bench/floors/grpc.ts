import { Client, credentials } from '@grpc/grpc-js';
import { startChildServer } from '../harness/index.ts';
import { payload, type Floor, type Sizes } from './floor.ts';
import { CHANNEL_OPTIONS, ECHO_SERVICE } from './grpc-service.ts';

/** One unary call for each request. */
export async function openGrpcUnary(sizes: Sizes): Promise<Floor> {
  const { client, request, close } = await open(sizes);
  const { path, requestSerialize, responseDeserialize } = ECHO_SERVICE.unary;
  const floor: Floor = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: (count) => {
      for (let i = 0; i < count; i++) client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, done);
    },
    close,
  };
  const done = (error: Error | null): void => {
    if (error === null) floor.onReplies(1);
    else floor.onError(error);
  };
  return floor;
}

/** One message for each request, on one bidirectional stream. */
export async function openGrpcBidi(sizes: Sizes): Promise<Floor> {
  const { client, request, close } = await open(sizes);
  const { path, requestSerialize, responseDeserialize } = ECHO_SERVICE.bidi;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const floor: Floor = {
    onReplies: () => undefined,
    onError: () => undefined,
    send: (count) => {
      for (let i = 0; i < count; i++) stream.write(request);
    },
    close: async () => {
      stream.on('error', () => undefined);
      stream.cancel();
      await close();
    },
  };
  stream.on('data', () => floor.onReplies(1));
  stream.on('error', (error: Error) => floor.onError(error));
  return floor;
}

async function open(sizes: Sizes): Promise<{ client: Client; request: Buffer; close: () => Promise<void> }> {
  const server = await startChildServer(new URL('grpc-server.ts', import.meta.url), [sizes.replyBytes]);
  const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure(), CHANNEL_OPTIONS);
  const close = async (): Promise<void> => {
    client.close();
    await server.close();
  };
  return { client, request: payload(sizes.requestBytes), close };
}
