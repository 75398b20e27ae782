import { describe, expect, it } from 'vitest';
import { ConfigSpace, endpointConfig } from '../../../server/src/core/pci/index.ts';

describe('what a function decodes', () => {
  const image = endpointConfig({
    vendor: 1,
    device: 2,
    classCode: 0,
    bars: [
      { index: 0, bytes: 0x100n, kind: 'io', address: 0x1000n },
      { index: 1, bytes: 0x1000n, kind: 'memory32', address: 0xe000_0000n },
    ],
    capabilities: { power: { noSoftReset: true } },
  });
  const space = (): ConfigSpace => new ConfigSpace(image, { barBytes: [0x100n, 0x1000n, 0n, 0n, 0n, 0n, 0x800n] });
  /** I/O, memory, ROM. */
  const decoded = (of: ConfigSpace): readonly boolean[] => of.bars().map((bar) => of.decodes(bar));

  it('is told by the enable bits of each kind, and by the enable bit of the ROM', () => {
    const of = space();
    expect(decoded(of)).toEqual([false, false, false]);
    of.write(4, 2, 1);
    expect(decoded(of)).toEqual([true, false, false]);
    of.write(4, 2, 2);
    expect(decoded(of)).toEqual([false, true, false]);
    of.write(0x30, 4, 0xe010_0001);
    expect(decoded(of)).toEqual([false, true, true]);
    of.write(4, 2, 0);
    expect(decoded(of)).toEqual([false, false, false]);
  });

  it('is nothing outside of D0', () => {
    const of = space();
    of.write(4, 2, 3);
    of.write(0x44, 2, 3);
    expect(decoded(of)).toEqual([false, false, false]);
  });

  it('of virtual functions needs VF Enable and VF Memory Space Enable', () => {
    const sriov = { functions: 2, firstOffset: 1, stride: 1, dependency: 0, device: 3, pageSizes: 1 };
    const bars = [{ index: 0, bytes: 0x1000n, kind: 'memory32', address: 0xe000_0000n }] as const;
    const express = { portType: 0, maxPayloadBytes: 128, maxReadRequestBytes: 128 };
    const of = new ConfigSpace(
      endpointConfig({ vendor: 1, device: 2, classCode: 0, bars: [], capabilities: { express, sriov: { ...sriov, bars } } }),
    );
    const shown = [0, 1, 8, 9].map((control) => {
      of.write(0x108, 2, control);
      return of.vfBars().map((bar) => of.decodes(bar));
    });
    expect(shown).toEqual([[false], [false], [false], [true]]);
  });
});
