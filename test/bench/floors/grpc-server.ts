/** Answers each message, unary or in a stream: its own bytes where the sizes agree, else as many as it was told. */
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { announce } from '../harness/index.ts';
import { payload, replyBytesArgument } from './floor.ts';
import { CHANNEL_OPTIONS, ECHO_SERVICE } from './grpc-service.ts';

const reply = payload(replyBytesArgument());

function answer(request: Buffer): Buffer {
  return request.length === reply.length ? request : reply;
}

const server = new Server(CHANNEL_OPTIONS);
server.addService(ECHO_SERVICE, {
  unary: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => done(null, answer(call.request)),
  bidi: (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.on('data', (request: Buffer) => call.write(answer(request)));
    call.on('end', () => call.end());
  },
});
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  announce(port);
});
