/** The door of the transports. */
export { loopbackPair } from './loopback.ts';
export type { Transport, TransportOwner } from './transport.ts';
export { WebSocketTransport } from './websocket.ts';
