import { describe, expect, it } from 'vitest';
import { CapabilityBody } from '../../../server/src/core/pci/capability-body.ts';
import { CAPABILITIES } from '../../../server/src/core/pci/capability-table.ts';
import { EXTENDED_CAPABILITIES } from '../../../server/src/core/pci/extended-capability-table.ts';
import { ConfigSpace } from '../../../server/src/core/pci/index.ts';
import type { Register } from '../../../server/src/core/pci/register-table.ts';

const ENDPOINT = 0;
const ROOT_PORT = 4;

/** Bodies that offer nothing, and everything. */
const BODIES = [0x00, 0xff].flatMap((fill) =>
  [ENDPOINT, ROOT_PORT].map((portType) => ({ fill, portType, body: new CapabilityBody(new Uint8Array(4096).fill(fill), 0, portType, 1) })),
);

describe.each([
  ['the first 256 bytes', CAPABILITIES, 3],
  ['extended space', EXTENDED_CAPABILITIES, 8],
])('the table of %s', (_, table, least) => {
  it('has each ID once', () => {
    const ids = table.map((kind) => kind.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(BODIES)('keeps registers inside and fields apart (body $fill, port type $portType)', ({ body }) => {
    const problems = table.flatMap((kind) => [
      ...(kind.bytes(body) >= least ? [] : [`${kind.name} has ${kind.bytes(body)} bytes`]),
      ...(/§|ECN/.test(kind.cite) ? [] : [`${kind.name} cites nothing`]),
      ...Object.entries(kind.registers(body)).flatMap(([name, register]) =>
        registerProblems(`${kind.name} ${name}`, register, kind.bytes(body)),
      ),
    ]);
    expect(problems).toEqual([]);
  });
});

function registerProblems(where: string, register: Register, bytes: number): string[] {
  const problems: string[] = [];
  if (register.offset < 2 || register.offset + register.bytes > bytes) problems.push(`${where} is outside of its capability`);
  if (register.offset % register.bytes !== 0) problems.push(`${where} is misaligned`);
  if (register.cite === '') problems.push(`${where} cites nothing`);
  const named = new Set<number>();
  for (const { at } of Object.values(register.fields)) {
    const [low, high] = at;
    if (low > high || high >= register.bytes * 8) problems.push(`${where} has a field ${low} to ${high}`);
    for (let bit = low; bit <= high; bit++) {
      if (named.has(bit)) problems.push(`${where} names bit ${bit} twice`);
      named.add(bit);
    }
  }
  return problems;
}

/** A function with one standard capability at 0x40. */
function standard(bytes: readonly number[]): ConfigSpace {
  const image = new Uint8Array(256);
  image[0x06] = 0x10;
  image[0x34] = 0x40;
  image.set(bytes, 0x40);
  return new ConfigSpace(image);
}

/** A function with one extended capability at 0x100, and optionally a PCI Express capability at 0x40 of a port type. */
function extended(header: number, dwords: readonly number[], portType = ENDPOINT): ConfigSpace {
  const image = new Uint8Array(4096);
  const view = new DataView(image.buffer);
  image[0x06] = 0x10;
  image[0x34] = 0x40;
  image.set([0x10, 0, 2 | (portType << 4)], 0x40);
  view.setUint32(0x100, header, true);
  dwords.forEach((value, i) => view.setUint32(0x104 + 4 * i, value, true));
  return new ConfigSpace(image);
}

/** What of a dword software can set. */
function settable(space: ConfigSpace, offset: number): number {
  space.write(offset, 4, 0);
  const zeros = space.read(offset, 4);
  space.write(offset, 4, 0xffff_ffff);
  return (space.read(offset, 4) ^ zeros) >>> 0;
}

describe('what software can set', () => {
  it('in MSI depends on address width and per-vector masking', () => {
    const narrow = standard([0x05, 0, 0x00, 0x00]);
    expect([0x40, 0x44, 0x48, 0x4c, 0x50].map((at) => settable(narrow, at))).toEqual([0x0071_0000, 0xffff_fffc, 0xffff, 0, 0]);
    const wide = standard([0x05, 0, 0x80, 0x01]);
    expect([0x40, 0x44, 0x48, 0x4c, 0x50, 0x54].map((at) => settable(wide, at))).toEqual([
      0x0071_0000, 0xffff_fffc, 0xffff_ffff, 0xffff, 1, 0,
    ]);
    // Mask bits of the vectors that it asks for.
    const four = standard([0x05, 0, 0x04, 0x01]);
    expect([0x4c, 0x50].map((at) => settable(four, at))).toEqual([0xf, 0]);
  });

  it('in MSI-X is enable and function mask', () => {
    expect(settable(standard([0x11, 0, 0x1f, 0]), 0x40)).toBe(0xc000_0000);
  });

  it('in a capability that the table does not know is nothing', () => {
    const space = standard([0x08, 0, 0xff, 0xff, 0xff, 0xff]);
    expect([settable(space, 0x40), settable(space, 0x44)]).toEqual([0, 0]);
  });

  it('in ACS is what the function offers', () => {
    expect(settable(extended(0x0001_000d, [0x0000_001d]), 0x104)).toBe(0x001d_0000);
  });

  it('in PASID is what the function offers', () => {
    expect(settable(extended(0x0001_001b, [0x0000_1400]), 0x104)).toBe(0x0001_0000);
    expect(settable(extended(0x0001_001b, [0x0000_1406]), 0x104)).toBe(0x0007_0000);
  });

  it('in the error registers of a root port includes Root Error Command', () => {
    expect(settable(extended(0x0002_0001, [], ROOT_PORT), 0x12c)).toBe(7);
    expect(settable(extended(0x0002_0001, [], ENDPOINT), 0x12c)).toBe(0);
  });

  it('in SR-IOV is VF Enable, VF MSE, NumVFs and a supported page size', () => {
    const dwords = [0, 0, 0x0008_0008, 0, 0, 0, 0x0000_0553, 1];
    const space = extended(0x0001_0010, dwords);
    expect([0x108, 0x110, 0x120].map((at) => settable(space, at))).toEqual([0x19, 0xffff, 0x553]);
    space.write(0x120, 4, 0x10);
    space.reset('flr');
    expect(space.read(0x120, 4)).toBe(1);
  });

  it('in Device Control includes Initiate FLR only as a trigger', () => {
    const flr = standard([0x10, 0, 2, 0, 0, 0, 0, 0x10]);
    expect(settable(flr, 0x48) & 0x8000).toBe(0);
    expect(flr.write(0x48, 2, 0x8000) & 2).toBe(2);
    const none = standard([0x10, 0, 2, 0, 0, 0, 0, 0]);
    expect(none.write(0x48, 2, 0x8000) & 2).toBe(0);
  });
});

describe('what software clears by writing one', () => {
  it('in the error registers is sticky', () => {
    const space = extended(0x0002_0001, [0x0010_0000, 0, 0, 0x0000_2041]);
    space.reset('conventional');
    expect([space.read(0x104, 4), space.read(0x110, 4)]).toEqual([0x0010_0000, 0x0000_2041]);
    space.write(0x110, 4, 0x0000_0001);
    expect(space.read(0x110, 4)).toBe(0x0000_2040);
    space.write(0x104, 4, 0xffff_ffff);
    expect(space.read(0x104, 4)).toBe(0);
  });
});
