/**
 * What Packet and Frame look like in bytes. Both are read and written by hand with protobufjs's own Reader and Writer
 * (packet-reader.ts, packet-writer.ts): the generated code's `oneof` setter on a body this wide costs more than everything else on a
 * frame's way. One table, CODECS in gen/bodies.ts, gives each body's generated code.
 */
import { CLOSE } from './close.ts';
import { FrameError } from './frame-error.ts';
import type { KIND } from './gen/bodies.ts';

export type FrameKind = (typeof KIND)[keyof typeof KIND];

/** The field tags of frame.proto that stand in front of a body: number << 3 | wire type. */
export const TAG = { frame: 0x0a, id: 0x08, kind: 0x10, data: 0x1a } as const;
/** The wire type of a body. */
export const LENGTH_DELIMITED = 2;
/** The first field number of a body. */
export const BODY_FIRST = 16;
export const ID_MAX = 0xffff_ffff;

/** Something has more bytes than it may: 1009. */
export function tooLarge(what: string, bytes: number, most: number): FrameError {
  return new FrameError(CLOSE.size, `${what} of ${bytes} bytes is beyond ${most}`);
}
