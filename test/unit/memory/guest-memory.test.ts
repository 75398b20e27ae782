import { describe, expect, it } from 'vitest';
import { GuestMemory } from '../../../server/src/core/memory/index.ts';

const MIB = 1n << 20n;
const GIB = 1n << 30n;
const EINVAL = -22;
const EADDRINUSE = -98;
const ENOENT = -2;

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

describe('the ranges of server RAM', () => {
  it.each([
    ['an empty range', [{ address: 0n, bytes: 0n }], 'memory range 0x0+0x0 is empty'],
    ['a misaligned address', [{ address: 0x1800n, bytes: MIB }], 'memory range 0x1800+0x100000 is not a multiple of 4096 bytes'],
    ['a misaligned size', [{ address: 0n, bytes: 0x1001n }], 'memory range 0x0+0x1001 is not a multiple of 4096 bytes'],
    ['57 bits', [{ address: (1n << 56n) - 4096n, bytes: 8192n }], 'memory range 0xfffffffffff000+0x2000 is wider than 56 address bits'],
    ['more than 4 GiB', [{ address: 0n, bytes: 4n * GIB + 4096n }], 'memory range 0x0+0x100001000 is wider than 4 GiB'],
    [
      'an overlap',
      [
        { address: 0x10000n, bytes: 0x8000n },
        { address: 0x17000n, bytes: 0x1000n },
      ],
      'memory range 0x17000+0x1000 overlaps 0x10000+0x8000',
    ],
    [
      'an overlap from below',
      [
        { address: 0x10000n, bytes: 0x1000n },
        { address: 0x8000n, bytes: 0x9000n },
      ],
      'memory range 0x8000+0x9000 overlaps 0x10000+0x1000',
    ],
  ])('refuse %s', (_, ranges, message) => {
    expect(() => new GuestMemory(ranges)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }));
  });

  it('reach to the last physical page', () => {
    const memory = new GuestMemory([{ address: (1n << 56n) - 4096n, bytes: 4096n }]);
    expect(memory.ownerOf(2 ** 44 - 1)).toBe(0);
    memory.writeBytes((1n << 56n) - 1n, bytes(7));
    expect(memory.readBytes((1n << 56n) - 2n, 2)).toEqual(bytes(0, 7));
  });

  it('may be large: nothing is made before it is touched', () => {
    const ranges = Array.from({ length: 1000 }, (_, i) => ({ address: BigInt(i) * 4n * GIB, bytes: 4n * GIB }));
    const memory = new GuestMemory(ranges);
    expect(memory.ownerOf(999 * 2 ** 20)).toBe(0);
    memory.writeBytes(3996n * GIB, bytes(1));
    expect(memory.readBytes(3996n * GIB, 1)).toEqual(bytes(1));
  });
});

describe('who owns a page', () => {
  const memory = new GuestMemory([
    { address: 0x100000n, bytes: 0x10000n },
    { address: 0x10000n, bytes: 0x1000n },
  ]);
  memory.claim(5, 0x20000n, 0x2000n);

  it.each([
    [0, -1],
    [0xf, -1],
    [0x10, 0],
    [0x11, -1],
    [0x1f, -1],
    [0x20, 5],
    [0x21, 5],
    [0x22, -1],
    [0xff, -1],
    [0x100, 0],
    [0x10f, 0],
    [0x110, -1],
    [2 ** 44 - 1, -1],
  ])('page 0x%x: %i', (page, owner) => {
    expect(memory.ownerOf(page)).toBe(owner);
    expect(memory.ownerOf(page)).toBe(owner);
  });

  it('does not depend on the page asked before', () => {
    for (const first of [0x10, 0x20, 0x100, 0x50]) {
      memory.ownerOf(first);
      expect([0x10, 0x20, 0x100, 0x50].map((page) => memory.ownerOf(page))).toEqual([0, 5, 0, -1]);
    }
  });
});

describe('a peer', () => {
  function memoryWithPeer(): GuestMemory {
    const memory = new GuestMemory([{ address: 0x100000n, bytes: MIB }]);
    expect(memory.claim(3, 0x40000n, 0x4000n)).toBe(0);
    return memory;
  }

  it.each([
    ['misaligned', 0x801n, 0x1000n, EINVAL],
    ['misaligned in size', 0x1000n, 0x1800n, EINVAL],
    ['empty', 0x1000n, 0n, EINVAL],
    ['negative', -0x1000n, 0x1000n, EINVAL],
    ['wider than 56 bits', (1n << 56n) - 0x1000n, 0x2000n, EINVAL],
    ['inside RAM', 0x110000n, 0x1000n, EADDRINUSE],
    ['over the start of RAM', 0xff000n, 0x2000n, EADDRINUSE],
    ['over the end of RAM', 0x1ff000n, 0x2000n, EADDRINUSE],
    ['around RAM', 0n, 4n * GIB, EADDRINUSE],
    ['on another peer', 0x43000n, 0x1000n, EADDRINUSE],
  ])('may not take a range that is %s', (_, address, size, code) => {
    const memory = memoryWithPeer();
    expect(memory.claim(4, address, size)).toBe(code);
    expect(memory.owned()).toMatchObject([{ owner: 3 }]);
  });

  it('takes ranges that touch others', () => {
    const memory = memoryWithPeer();
    expect(memory.claim(4, 0x44000n, 0x1000n)).toBe(0);
    expect(memory.claim(4, 0x3f000n, 0x1000n)).toBe(0);
    expect(memory.claim(4, 0x200000n, 0x1000n)).toBe(0);
    expect([0x3f, 0x40, 0x43, 0x44, 0x45, 0x1ff, 0x200].map((page) => memory.ownerOf(page))).toEqual([4, 3, 3, 4, -1, 0, 4]);
  });

  it('releases what it claimed, by its first address, and nobody else does', () => {
    const memory = memoryWithPeer();
    expect(memory.release(4, 0x40000n)).toBe(ENOENT);
    expect(memory.release(3, 0x41000n)).toBe(ENOENT);
    expect(memory.release(3, 0x40001n)).toBe(ENOENT);
    expect(memory.release(3, 0x90000n)).toBe(ENOENT);
    expect(memory.ownerOf(0x40)).toBe(3);
    expect(memory.release(3, 0x40000n)).toBe(0);
    expect(memory.ownerOf(0x40)).toBe(-1);
    expect(memory.release(3, 0x40000n)).toBe(ENOENT);
    expect(memory.claim(4, 0x40000n, 0x1000n)).toBe(0);
  });

  it('is found by its ranges, in their order', () => {
    const memory = memoryWithPeer();
    memory.claim(4, 0x20000n, 0x1000n);
    const [first, second] = [
      { owner: 4, address: 0x20000n, bytes: 0x1000n },
      { owner: 3, address: 0x40000n, bytes: 0x4000n },
    ];
    expect(memory.owned()).toEqual([first, second]);
    expect(memory.ownedWithin(0x20fffn, 1n)).toEqual(first);
    expect(memory.ownedWithin(0x1ffffn, 1n)).toBeUndefined();
    expect(memory.ownedWithin(0x21000n, 0x1f000n)).toBeUndefined();
    expect(memory.ownedWithin(0x21000n, 0x1f001n)).toEqual(second);
    expect(memory.ownedWithin(0n, 1n << 40n)).toEqual(first);
    expect(memory.ownedWithin(0x100000n, 0x1000n)).toBeUndefined();
  });

  it('may hand a range to another, as a whole', () => {
    const memory = memoryWithPeer();
    expect(memory.ownerOf(0x41)).toBe(3);
    expect([memory.hand(4, 0x40000n, 5), memory.hand(3, 0x41000n, 5), memory.hand(3, 0x50000n, 5)]).toEqual([false, false, false]);
    expect(memory.hand(3, 0x40000n, 5)).toBe(true);
    expect([0x3f, 0x40, 0x43, 0x44].map((page) => memory.ownerOf(page))).toEqual([-1, 5, 5, -1]);
  });

  it('cannot release the RAM of the server', () => {
    const memory = memoryWithPeer();
    expect(memory.release(3, 0x100000n)).toBe(ENOENT);
    expect(memory.ownerOf(0x100)).toBe(0);
  });

  it('has no bytes here', () => {
    const memory = memoryWithPeer();
    expect(() => memory.read(0x40, 0, new Uint8Array(8), 0, 8)).toThrow("a page of owner 3 was accessed as the server's RAM");
    expect(() => memory.readBytes(0x40000n, 1)).toThrow(expect.objectContaining({ code: 'EFAULT' }));
  });
});

describe('bytes', () => {
  it.each([1, 7, 31, 32, 33, 100, 4096])('come back as they were written, %i at a time', (count) => {
    const memory = new GuestMemory([{ address: 0x10000n, bytes: 0x4000n }]);
    const data = Uint8Array.from({ length: count + 8 }, (_, i) => (i * 37 + 1) & 0xff);
    const offset = 4096 - count;
    memory.write(0x12, offset, data, 5, count);
    const back = new Uint8Array(count + 8).fill(0xee);
    memory.read(0x12, offset, back, 3, count);
    expect(back.subarray(3, 3 + count)).toEqual(data.subarray(5, 5 + count));
    expect([...back.subarray(0, 3), ...back.subarray(3 + count)]).toEqual(Array.from({ length: 8 }, () => 0xee));
    expect(memory.readBytes(0x13000n, 8)).toEqual(new Uint8Array(8));
    expect(memory.readBytes(0x12000n - 1n, 1)).toEqual(new Uint8Array(1));
  });

  it('are zero at first', () => {
    const memory = new GuestMemory([{ address: 0n, bytes: MIB }]);
    expect(memory.readBytes(0xff000n, 4096)).toEqual(new Uint8Array(4096));
  });

  it('cross from one range to the one beside it', () => {
    const memory = new GuestMemory([
      { address: 0x3000n, bytes: 0x1000n },
      { address: 0x1000n, bytes: 0x2000n },
    ]);
    memory.writeBytes(0x2ffen, bytes(1, 2, 3, 4));
    expect(memory.readBytes(0x2ffdn, 6)).toEqual(bytes(0, 1, 2, 3, 4, 0));
    const page = new Uint8Array(2);
    memory.read(3, 0, page, 0, 2);
    expect(page).toEqual(bytes(3, 4));
  });

  it('that are read are a copy', () => {
    const memory = new GuestMemory([{ address: 0n, bytes: MIB }]);
    memory.readBytes(0x1000n, 4).fill(9);
    expect(memory.readBytes(0x1000n, 4)).toEqual(new Uint8Array(4));
  });

  it('are written all or none', () => {
    const memory = new GuestMemory([{ address: 0x1000n, bytes: 0x1000n }]);
    expect(() => memory.writeBytes(0x1ffen, bytes(1, 2, 3))).toThrow(expect.objectContaining({ code: 'EFAULT', field: 'address' }));
    expect(memory.readBytes(0x1ffen, 2)).toEqual(bytes(0, 0));
  });

  it('may be none', () => {
    const memory = new GuestMemory([{ address: 0x1000n, bytes: 0x1000n }]);
    memory.writeBytes(0x9000n, bytes());
    expect(memory.readBytes(0x9000n, 0)).toEqual(bytes());
  });
});

describe('holds', () => {
  const memory = new GuestMemory([
    { address: 0x1000n, bytes: 0x1000n },
    { address: 0x2000n, bytes: 0x1000n },
    { address: 0x4000n, bytes: 0x1000n },
  ]);
  memory.claim(1, 0x5000n, 0x1000n);

  it.each([
    [0x1000n, 0x2000n, true],
    [0x1001n, 1n, true],
    [0x1000n, 0x2001n, false],
    [0x2fffn, 0x1002n, false],
    [0xfffn, 2n, false],
    [0x4fffn, 2n, false],
    [0x5000n, 1n, false],
    [0x4000n, 0n, false],
    [0x4000n, -1n, false],
    [-1n, 0x2000n, false],
    [0x4000n, 1n << 64n, false],
  ])('0x%x + %i: %s', (address, size, expected) => {
    expect(memory.holds(address, size)).toBe(expected);
  });
});

describe('allocation', () => {
  it('gives the lowest whole pages, and never page 0', () => {
    const memory = new GuestMemory([{ address: 0n, bytes: 0x5000n }]);
    expect(memory.alloc(1n)).toBe(0x1000n);
    expect(memory.allocatedBytes(0x1000n)).toBe(0x1000n);
    expect(memory.alloc(4097n)).toBe(0x2000n);
    expect(memory.allocatedBytes(0x2000n)).toBe(0x2000n);
    expect(memory.alloc(0x2000n)).toBeUndefined();
    expect(memory.alloc(0x1000n)).toBe(0x4000n);
    expect(memory.alloc(1n)).toBeUndefined();
  });

  it('uses a hole again that is large enough', () => {
    const memory = new GuestMemory([{ address: 0x10000n, bytes: 0x10000n }]);
    const [a, b] = [memory.alloc(0x2000n), memory.alloc(0x1000n), memory.alloc(0x1000n)];
    expect(memory.free(a!)).toBe(true);
    expect(memory.alloc(0x3000n)).toBe(0x14000n);
    expect(memory.alloc(0x2000n)).toBe(a);
    expect(memory.free(a!)).toBe(true);
    expect(memory.free(b!)).toBe(true);
    expect(memory.alloc(0x3000n)).toBe(0x10000n);
  });

  it('frees only what starts there', () => {
    const memory = new GuestMemory([{ address: 0x10000n, bytes: 0x10000n }]);
    const address = memory.alloc(0x2000n)!;
    expect(memory.free(address + 0x1000n)).toBe(false);
    expect(memory.free(address + 1n)).toBe(false);
    expect(memory.free(0x1000n)).toBe(false);
    expect(memory.allocatedBytes(address + 1n)).toBeUndefined();
    expect(memory.free(address)).toBe(true);
    expect(memory.free(address)).toBe(false);
    expect(memory.allocatedBytes(address)).toBeUndefined();
  });

  it('never gives what a peer owns, and refuses no bytes', () => {
    const memory = new GuestMemory([]);
    memory.claim(1, 0x10000n, 0x10000n);
    expect(memory.alloc(1n)).toBeUndefined();
    expect(() => memory.alloc(0n)).toThrow(expect.objectContaining({ code: 'EINVAL', field: 'bytes' }));
  });

  it('keeps the bytes', () => {
    const memory = new GuestMemory([{ address: 0x10000n, bytes: 0x10000n }]);
    const address = memory.alloc(1n)!;
    memory.writeBytes(address, bytes(5));
    memory.free(address);
    expect(memory.readBytes(memory.alloc(1n)!, 1)).toEqual(bytes(5));
  });
});
