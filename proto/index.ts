/** The door of the contract: what a server, a client or a tool needs to speak it. */
export { iommud } from './gen/iommud.js';
export { BODY, CODECS, KIND, type BodyCodec, type BodyName, type CallName, type Calls, type EventName, type Events } from './gen/bodies.ts';
export { CLOSE, type CloseCode } from './close.ts';
export { CREDIT_CLASSES, CREDIT_DEFAULTS, CreditPool, creditClass, replyBytes, type CreditClass } from './credits.ts';
export { FrameError } from './frame-error.ts';
export type { FrameKind } from './frame.ts';
export { PacketReader, readPacket } from './packet-reader.ts';
export { PacketWriter, type PacketLimits } from './packet-writer.ts';
export { s64FromNumber, s64ToNumber, u64FromBigint, u64FromNumber, u64ToBigint, u64ToNumber, type U64 } from './u64.ts';
export { CONTRACT_VERSION } from './version.ts';
