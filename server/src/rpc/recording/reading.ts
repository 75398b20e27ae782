/** What protobufjs's reader lacks. */
import protobuf from 'protobufjs/minimal.js';

/** Of a message in a message. */
export function inner(reader: protobuf.Reader): protobuf.Reader {
  return protobuf.Reader.create(reader.bytes());
}

/** Exact where it is no more than there can be. */
export function numberOf(reader: protobuf.Reader): number {
  const { low, high } = reader.uint64();
  return (high >>> 0) * 2 ** 32 + (low >>> 0);
}
