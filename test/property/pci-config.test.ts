/** Laws of configuration space, for any bytes at all, real structures with random contents, and any sequence of writes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigSpace, bridgeConfig, dmaProbeConfig } from '../../server/src/core/pci/index.ts';

const SIZES = [64, 128, 256, 4096] as const;

/** Noise, and our own structures with some bytes overwritten, so that chains and capabilities are also met broken. */
const images: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constantFrom(...SIZES).chain((bytes) => fc.uint8Array({ minLength: bytes, maxLength: bytes })),
  fc
    .tuple(
      fc.constantFrom(
        dmaProbeConfig({ integrated: false, acs: true, addresses: [0xe001_0000n, 0n, 0xe000_0000n] }),
        bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 5 }),
      ),
      fc.array(fc.tuple(fc.oneof(fc.nat(0xff), fc.nat(0xfff)), fc.nat(0xff)), { maxLength: 40 }),
    )
    .map(([image, changes]) => {
      const changed = image.slice();
      for (const [at, value] of changes) changed[at] = value;
      return changed;
    }),
);

interface Write {
  readonly offset: number;
  readonly bytes: number;
  readonly value: number;
}
const writes: fc.Arbitrary<readonly Write[]> = fc.array(
  fc
    .record({
      place: fc.oneof(fc.nat(0x3ff), fc.nat(0x5f)),
      bytes: fc.constantFrom(1, 2, 4),
      value: fc.oneof(fc.nat(0xffff_ffff), fc.constant(0xffff_ffff)),
    })
    .map(({ place, bytes, value }) => ({ offset: (place * 4) & ~(bytes - 1), bytes, value })),
  { maxLength: 60 },
);

function apply(space: ConfigSpace, sequence: readonly Write[]): void {
  for (const { offset, bytes, value } of sequence) if (offset + bytes <= space.bytes) space.write(offset, bytes, value);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Bits that a write of ones or of zeros can move, from this state. */
function reachable(image: Uint8Array): Uint8Array {
  const moved = new Uint8Array(image.length);
  for (const value of [0, 0xff]) {
    const space = new ConfigSpace(image);
    for (let at = 0; at < image.length; at++) space.write(at, 1, value);
    space.image().forEach((byte, at) => {
      moved[at]! |= byte ^ image[at]!;
    });
  }
  return moved;
}

describe('configuration space', () => {
  it('of any bytes is made, read and reset without an error', () => {
    fc.assert(
      fc.property(images, writes, (image, sequence) => {
        const space = new ConfigSpace(image);
        expect(sameBytes(space.image(), image)).toBe(true);
        apply(space, sequence);
        space.reset('flr');
        space.reset('conventional');
        expect(space.resetMethods().length).toBeLessThanOrEqual(3);
        expect(space.capabilities.length).toBeLessThan(1024);
      }),
      { numRuns: 300 },
    );
  });

  it('never lets a sequence of writes change a bit that no single write changes', () => {
    fc.assert(
      fc.property(images, writes, (image, sequence) => {
        const allowed = reachable(image);
        // Resizable BAR makes other bits of a BAR writable; that is its purpose.
        fc.pre(!new ConfigSpace(image).capabilities.some((c) => c.extended && c.id === 0x15));
        const space = new ConfigSpace(image);
        apply(space, sequence);
        const after = space.image();
        const changed = after.findIndex((byte, at) => ((byte ^ image[at]!) & ~allowed[at]!) !== 0);
        expect(changed).toBe(-1);
      }),
      { numRuns: 150 },
    );
  });

  it('never sets a write-one-to-clear bit by writing, and clears it only by a one', () => {
    // Status, Device Status, AER status registers of a dma-probe: offset and width in bytes, and which bits.
    const registers = [
      { offset: 0x06, bytes: 2, bits: 0xf900 },
      { offset: 0x52, bytes: 2, bits: 0x000f },
      { offset: 0x104, bytes: 4, bits: 0x07ff_f030 },
      { offset: 0x110, bytes: 4, bits: 0x0000_f1c1 },
    ];
    fc.assert(
      fc.property(fc.constantFrom(...registers), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), ({ offset, bytes, bits }, held, given) => {
        const image = dmaProbeConfig({ integrated: false });
        const view = new DataView(image.buffer);
        const fixed = (bytes === 2 ? view.getUint16(offset, true) : view.getUint32(offset, true)) & ~bits;
        const before = (fixed | (held & bits)) >>> 0;
        if (bytes === 2) view.setUint16(offset, before, true);
        else view.setUint32(offset, before, true);
        const space = new ConfigSpace(image);
        space.write(offset, bytes, given);
        expect(space.read(offset, bytes)).toBe((before & ~(given & bits)) >>> 0);
      }),
    );
  });

  it('reads in any width what its bytes say', () => {
    fc.assert(
      fc.property(images, fc.nat(0xfff), fc.constantFrom(1, 2, 4), (image, place, bytes) => {
        const offset = (place % image.length) & ~(bytes - 1);
        let expected = 0;
        for (let i = bytes - 1; i >= 0; i--) expected = expected * 256 + image[offset + i]!;
        expect(new ConfigSpace(image).read(offset, bytes)).toBe(expected);
      }),
    );
  });

  it('is given back by restore what reset took from it', () => {
    fc.assert(
      fc.property(writes, fc.constantFrom('flr', 'conventional'), (sequence, kind) => {
        const space = new ConfigSpace(dmaProbeConfig({ integrated: false }));
        apply(space, sequence);
        // As Linux does, the function is in D0 when its state is saved.
        space.write(0x44, 2, space.read(0x44, 2) & ~3);
        const saved = space.save();
        space.reset(kind);
        space.restore(saved);
        expect(sameBytes(space.image(), saved)).toBe(true);
      }),
    );
  });

  it('has views that agree with its registers after any writes', () => {
    fc.assert(
      fc.property(writes, (sequence) => {
        const space = new ConfigSpace(dmaProbeConfig({ integrated: false }));
        apply(space, sequence);
        const again = new ConfigSpace(space.image());
        const views = (of: ConfigSpace): unknown[] => [
          of.busMaster,
          of.memorySpace,
          of.maxPayloadBytes,
          of.maxReadRequestBytes,
          of.atsEnabled,
          of.unitPagesLg2,
          of.pasidEnabled,
          of.priEnabled,
          of.powerState,
        ];
        expect(views(space)).toEqual(views(again));
      }),
    );
  });
});
