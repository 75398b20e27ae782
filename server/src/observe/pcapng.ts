/** Packets as a pcapng file (draft-ietf-opsawg-pcapng), little-endian, times in nanoseconds. */

/** LINKTYPE_USER0: what is in the packets is known to whoever reads the file. */
export const LINKTYPE_USER0 = 147;

const BLOCK = { section: 0x0a0d_0d0a, interface: 1, packet: 6 } as const;
const BYTE_ORDER = 0x1a2b_3c4d;
const OPTION = { comment: 1, name: 2, application: 4, description: 3, resolution: 9 } as const;
/** 10^-9 s. */
const NANOSECONDS = 9;
/** epb_flags. */
const FLAGS = 2;
const DIRECTION = { in: 1, out: 2 } as const;

type Option = readonly [code: number, value: Uint8Array];

/** The first block. `about`: what was captured, for people. */
export function pcapngHeader(application: string, about: string): Uint8Array {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER, 0);
  fixed.writeUInt16LE(1, 4);
  fixed.writeBigInt64LE(-1n, 8);
  return block(BLOCK.section, [
    fixed,
    options([
      [OPTION.comment, text(about)],
      [OPTION.application, text(application)],
    ]),
  ]);
}

/** An interface; those of a file are numbered from 0 in the order in which they stand there. */
export function pcapngInterface(name: string, description: string): Uint8Array {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(LINKTYPE_USER0, 0);
  return block(BLOCK.interface, [
    fixed,
    options([
      [OPTION.name, text(name)],
      [OPTION.description, text(description)],
      [OPTION.resolution, Buffer.of(NANOSECONDS)],
    ]),
  ]);
}

export function pcapngPacket(at: number, timeNs: number, direction: 'in' | 'out' | undefined, bytes: Uint8Array): Uint8Array {
  const time = BigInt(timeNs);
  const fixed = Buffer.alloc(20);
  fixed.writeUInt32LE(at, 0);
  fixed.writeUInt32LE(Number(time >> 32n), 4);
  fixed.writeUInt32LE(Number(time & 0xffff_ffffn), 8);
  fixed.writeUInt32LE(bytes.length, 12);
  fixed.writeUInt32LE(bytes.length, 16);
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(direction === undefined ? 0 : DIRECTION[direction]);
  return block(BLOCK.packet, [fixed, padded(bytes), options([[FLAGS, flags]])]);
}

function block(type: number, body: readonly Uint8Array[]): Uint8Array {
  const bytes = body.reduce((sum, piece) => sum + piece.length, 12);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(bytes, 4);
  return Buffer.concat([head, ...body, head.subarray(4)]);
}

function options(all: readonly Option[]): Uint8Array {
  const pieces = all.map(([code, value]) => {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(code, 0);
    head.writeUInt16LE(value.length, 2);
    return Buffer.concat([head, padded(value)]);
  });
  return Buffer.concat([...pieces, Buffer.alloc(4)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}

function text(value: string): Uint8Array {
  return Buffer.from(value);
}
