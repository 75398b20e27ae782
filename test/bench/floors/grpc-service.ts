/** The service of the gRPC floors, defined in code: messages are raw bytes, so a message has exactly the bytes that it is given. */
import type { ServiceDefinition } from '@grpc/grpc-js';

const raw = (message: Buffer): Buffer => message;
const CODEC = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };

export const ECHO_SERVICE = {
  unary: { path: '/bench.Echo/Unary', requestStream: false, responseStream: false, ...CODEC },
  bidi: { path: '/bench.Echo/Bidi', requestStream: true, responseStream: true, ...CODEC },
} as const satisfies ServiceDefinition;

/** No limit on a message, as the other floors have none. */
export const CHANNEL_OPTIONS = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
