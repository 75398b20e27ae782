/** What a recording looks like to whoever writes or reads it by hand: proto/iommud/v1/recording.proto. */

/** `IOMMREC` and a zero byte, as they stand in the file. */
export const MAGIC: Uint8Array = Buffer.from('IOMMREC\0', 'latin1');
export const FORMAT = 2;
/** The oldest that is read: it has nothing of sessions. */
export const FORMAT_OLDEST = 1;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

function tag(field: number, wire: number): number {
  return (field << 3) | wire;
}

export const RECORDING = { magic: tag(1, FIXED64), format: tag(2, FIXED32), block: tag(3, DELIMITED) } as const;
/** Where the format's version stands, and the bytes before the first block. */
export const AT = { magic: 1, format: 10, end: 14 } as const;

export const BLOCK = {
  start: tag(1, DELIMITED),
  record: tag(2, DELIMITED),
  end: tag(3, DELIMITED),
  checksum: tag(15, FIXED32),
} as const;
/** Tag and checksum. */
export const CHECKSUM_BYTES = 5;

export const START = {
  productVersion: tag(1, DELIMITED),
  name: tag(2, DELIMITED),
  behaviour: tag(3, DELIMITED),
  clock: tag(4, DELIMITED),
  seed: tag(5, VARINT),
  nowNs: tag(6, VARINT),
  functions: tag(7, VARINT),
  traceHash: tag(8, DELIMITED),
  spec: tag(9, DELIMITED),
  state: tag(10, DELIMITED),
  peers: tag(11, DELIMITED),
  welcome: tag(12, DELIMITED),
} as const;

export const PEER = {
  id: tag(1, VARINT),
  roles: tag(2, DELIMITED),
  client: tag(3, DELIMITED),
  calls: tag(4, DELIMITED),
  asked: tag(5, DELIMITED),
} as const;
export const CALL = { id: tag(1, VARINT), body: tag(2, VARINT) } as const;

export const RECORD = {
  timeNs: tag(1, VARINT),
  input: tag(2, VARINT),
  peer: tag(3, VARINT),
  realNs: tag(4, VARINT),
  wallMs: tag(5, VARINT),
  connection: tag(6, VARINT),
  wireId: tag(7, VARINT),
  allowed: tag(8, DELIMITED),
  received: tag(16, DELIMITED),
  sent: tag(17, DELIMITED),
  arrived: tag(18, DELIMITED),
  gone: tag(19, DELIMITED),
  silent: tag(20, VARINT),
  alarm: tag(21, VARINT),
  command: tag(22, DELIMITED),
  reply: tag(23, DELIMITED),
  opened: tag(24, VARINT),
  'session-received': tag(25, DELIMITED),
  'session-sent': tag(26, DELIMITED),
  closed: tag(27, DELIMITED),
  asked: tag(28, DELIMITED),
  room: tag(29, VARINT),
  draining: tag(30, VARINT),
  'shut-down': tag(31, VARINT),
  keepalive: tag(32, VARINT),
} as const;
export const CLOSED = { code: tag(1, VARINT), reason: tag(2, DELIMITED), by: tag(3, VARINT) } as const;
export const ASKED = { token: tag(1, VARINT), id: tag(2, VARINT) } as const;
export const OWN = { token: tag(1, VARINT), json: tag(2, DELIMITED) } as const;

export const END = {
  reason: tag(1, DELIMITED),
  nowNs: tag(2, VARINT),
  traceHash: tag(3, DELIMITED),
  inputs: tag(4, VARINT),
  crash: tag(5, DELIMITED),
} as const;

/** Of Frame: proto/frame.ts has those that are in front of a body. */
export const FRAME = { id: tag(1, VARINT), kind: tag(2, VARINT), data: tag(3, DELIMITED) } as const;
