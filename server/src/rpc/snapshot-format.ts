/** What a machine's file looks like to whoever writes or reads it by hand: proto/iommud/v1/snapshot.proto. */

/** `IOMSNAP` and a zero byte, as they stand in the file. */
export const MAGIC: Uint8Array = Buffer.from('IOMSNAP\0', 'latin1');
export const FORMAT = 1;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

function tag(field: number, wire: number): number {
  return (field << 3) | wire;
}

export const SNAPSHOT = {
  magic: tag(1, FIXED64),
  format: tag(2, FIXED32),
  fileBytes: tag(3, FIXED64),
  productVersion: tag(4, DELIMITED),
  name: tag(5, DELIMITED),
  behaviour: tag(6, DELIMITED),
  clock: tag(7, DELIMITED),
  seed: tag(8, VARINT),
  nowNs: tag(9, VARINT),
  functions: tag(10, VARINT),
  traceHash: tag(11, DELIMITED),
  spec: tag(12, DELIMITED),
  state: tag(13, DELIMITED),
  checksum: tag(15, FIXED32),
} as const;

export const GRAPH = {
  anchors: tag(1, DELIMITED),
  strings: tag(2, DELIMITED),
  numbers: tag(3, DELIMITED),
  bigints: tag(4, DELIMITED),
  shapes: tag(5, DELIMITED),
  words: tag(6, DELIMITED),
  buffers: tag(7, DELIMITED),
} as const;
export const SHAPE = { kind: tag(1, DELIMITED), keys: tag(2, DELIMITED) } as const;
export const BYTE_BUFFER = { lead: tag(1, VARINT), bytes: tag(2, VARINT), runs: tag(3, DELIMITED) } as const;
export const RUN = { offset: tag(1, VARINT), data: tag(2, DELIMITED) } as const;

/** Offsets of the numbers of fixed size, each behind its tag. */
export const AT = { magic: 1, format: 10, fileBytes: 15, end: 23 } as const;
/** Tag and checksum. */
export const CHECKSUM_BYTES = 5;
