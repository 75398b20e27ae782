import { describe, expect, it } from 'vitest';
import { ConfigSpace } from '../../../server/src/core/pci/index.ts';

const AT = 0x40;

interface Given {
  readonly portType?: number;
  readonly version?: number;
  readonly slot?: boolean;
  /** Dwords by offset in the capability. */
  readonly words?: Readonly<Record<number, number>>;
}

function express({ portType = 0, version = 2, slot = false, words = {} }: Given): ConfigSpace {
  const image = new Uint8Array(4096);
  const view = new DataView(image.buffer);
  view.setUint16(6, 0x10, true);
  image[0x34] = AT;
  image.set([0x10, 0], AT);
  view.setUint16(AT + 2, version | (portType << 4) | (slot ? 0x100 : 0), true);
  for (const [offset, value] of Object.entries(words)) view.setUint32(AT + Number(offset), value, true);
  return new ConfigSpace(image);
}

/** Bits that writing a one sets. */
function settable(space: ConfigSpace, offset: number, bytes = 2): number {
  space.write(AT + offset, bytes, 0);
  const zeros = space.read(AT + offset, bytes);
  space.write(AT + offset, bytes, 2 ** (8 * bytes) - 1);
  return (space.read(AT + offset, bytes) ^ zeros) >>> 0;
}

const [ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM, BRIDGE, INTEGRATED] = [0, 4, 5, 6, 7, 9];

describe('Device Control 2 takes', () => {
  it.each([
    ['nothing of what is not offered', ENDPOINT, 0, 0x0340],
    ['nothing at all in an upstream port that offers nothing', UPSTREAM, 0, 0],
    ['timeouts', ENDPOINT, 0x1, 0x034f],
    ['the end of timeouts', ENDPOINT, 0x10, 0x0350],
    ['ARI forwarding in a port with a link below', DOWNSTREAM, 0x20, 0x0020],
    ['no ARI forwarding elsewhere', UPSTREAM, 0x20, 0],
    ['blocking of AtomicOps in a port that routes them', DOWNSTREAM, 0x40, 0x0080],
    ['no blocking of AtomicOps in an endpoint', ENDPOINT, 0x40, 0x0340],
    ['LTR', UPSTREAM, 0x800, 0x0400],
    ['emergency power reduction', ENDPOINT, 0x0200_0000, 0x0b40],
    ['10-bit tags', ENDPOINT, 0x2_0000, 0x1340],
    ['OBFF', ENDPOINT, 0x4_0000, 0x6340],
    ['blocking of prefixes in a root port', ROOT_PORT, 0x20_0000, 0x8340],
    ['no blocking of prefixes in an endpoint', ENDPOINT, 0x20_0000, 0x0340],
  ])('%s', (_, portType, offered, expected) => {
    expect(settable(express({ portType, words: { 0x24: offered } }), 0x28)).toBe(expected);
  });

  it('nothing in version 1', () => {
    expect(settable(express({ version: 1, words: { 0x24: 0xffff_ffff } }), 0x28)).toBe(0);
  });
});

describe('Device Control takes', () => {
  it.each([
    ['tags and phantom functions where they are offered', ENDPOINT, 0x28, 0x7fff],
    ['neither where they are not', ENDPOINT, 0, 0x7cff],
    ['configuration retry in a bridge', BRIDGE, 0x1000_0000, 0xfcff],
  ])('%s', (_, portType, offered, expected) => {
    expect(settable(express({ portType, words: { 4: offered } }), 8)).toBe(expected);
  });
});

describe('Link Control takes', () => {
  it.each([
    ['the boundary in an endpoint', ENDPOINT, 0, 0x02cb],
    ['no boundary in an upstream port', UPSTREAM, 0, 0x02c3],
    ['Link Disable in a root port, where Retrain Link reads zero', ROOT_PORT, 0, 0x02d3],
    ['clock power management', ENDPOINT, 1 << 18, 0x03cb],
    ['interrupts of a port that notifies', DOWNSTREAM, 1 << 21, 0x0ed3],
    ['nothing without a link', INTEGRATED, 0xffff_ffff, 0],
  ])('%s', (_, portType, offered, expected) => {
    expect(settable(express({ portType, words: { 0xc: offered } }), 0x10)).toBe(expected);
  });
});

describe('Slot Control takes', () => {
  it.each([
    ['least of a slot that has nothing', 0, 0x2018],
    ['no command interrupt without commands', 1 << 18, 0x2008],
    ['a button', 1, 0x2019],
    ['a power controller, and its faults', 2, 0x241a],
    ['a latch', 4, 0x201c],
    ['an attention indicator', 8, 0x20d8],
    ['a power indicator', 0x10, 0x2318],
    ['hot plug interrupts', 0x40, 0x2038],
    ['no state of the interlock, which reads zero', 1 << 17, 0x2018],
  ])('%s', (_, offered, expected) => {
    expect(settable(express({ portType: DOWNSTREAM, slot: true, words: { 0x14: offered } }), 0x18)).toBe(expected);
  });

  it('nothing where there is no slot', () => {
    expect(settable(express({ portType: DOWNSTREAM, words: { 0x14: 0x7f } }), 0x18)).toBe(0);
  });

  it('is after a reset as the slot is: occupied or empty', () => {
    for (const [status, control] of [
      [0x40, 0x01c0],
      [0, 0x07c0],
    ] as const) {
      const space = express({ portType: ROOT_PORT, slot: true, words: { 0x14: 0x1a, 0x18: status << 16 } });
      space.reset('conventional');
      expect(space.read(AT + 0x18, 2)).toBe(control);
      expect(space.read(AT + 0x1a, 2)).toBe(status);
    }
  });
});

describe('Root Control takes', () => {
  it('RRS visibility where it is offered', () => {
    expect(settable(express({ portType: ROOT_PORT, words: { 0x1c: 0x1_0000 } }), 0x1c)).toBe(0x1f);
    expect(settable(express({ portType: ROOT_PORT }), 0x1c)).toBe(0x0f);
    expect(settable(express({ portType: DOWNSTREAM }), 0x1c)).toBe(0);
  });
});

describe('Root Status', () => {
  it('is cleared by a one in PME Status only', () => {
    const space = express({ portType: ROOT_PORT, words: { 0x20: 0x3_1234 } });
    space.write(AT + 0x20, 4, 0xffff_ffff);
    expect(space.read(AT + 0x20, 4)).toBe(0x2_1234);
  });
});

describe('Transactions Pending', () => {
  it('is bit 5 of Device Status, in whatever is read of it', () => {
    const space = express({});
    const shown = [8, 9, 0xa, 0xb].map((at) => space.transactionsPendingBits(AT + at, 1));
    expect(shown).toEqual([0, 0, 0x20, 0]);
    expect([8, 0xa].map((at) => space.transactionsPendingBits(AT + at, 2))).toEqual([0, 0x20]);
    expect([4, 8, 0xc].map((at) => space.transactionsPendingBits(AT + at, 4))).toEqual([0, 0x20_0000, 0]);
  });
});
