import { invalid } from './errors.ts';

const TEXT = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i;

/** Packs `00:02.0` or `0000:00:02.0`: segment in bits 31:16, bus 15:8, device 7:3, function 2:0. `EINVAL` for anything else. */
export function packBdf(text: string): number {
  const match = TEXT.exec(text);
  if (match === null) throw invalid('function', `'${text}' is no place of a function; write '00:02.0' or '0000:00:02.0'`);
  const [segment, bus, device, fn] = match.slice(1).map((part) => Number.parseInt(part ?? '0', 16)) as [number, number, number, number];
  return ((segment << 16) | (bus << 8) | (device << 3) | fn) >>> 0;
}

/** `00:02.0`, with the segment in front when it is not zero. */
export function bdfText(packed: number): string {
  const short = `${digits((packed >>> 8) & 0xff, 2)}:${digits((packed >>> 3) & 0x1f, 2)}.${packed & 7}`;
  const segment = packed >>> 16;
  return segment === 0 ? short : `${digits(segment, 4)}:${short}`;
}

function digits(value: number, count: number): string {
  return value.toString(16).padStart(count, '0');
}
