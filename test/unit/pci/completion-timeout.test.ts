import { describe, expect, it } from 'vitest';
import { ConfigSpace, completionTimeoutNs, dmaProbeConfig } from '../../../server/src/core/pci/index.ts';

const MS = 1_000_000;

describe('the Completion Timeout (PCIe Base r6.0 §7.5.3.16)', () => {
  const config = new ConfigSpace(dmaProbeConfig({ integrated: true }));
  const express = config.capabilities.find(({ id, extended }) => id === 0x10 && !extended)!.offset;

  it.each([
    [0, 50 * MS],
    [1, MS / 10],
    [2, 10 * MS],
    [5, 55 * MS],
    [6, 210 * MS],
    [9, 900 * MS],
    [10, 3500 * MS],
    [13, 13_000 * MS],
    [14, 64_000 * MS],
    [3, 50 * MS],
    [0x10, 0],
    [0x16, 0],
  ])('Device Control 2 %i is %i ns', (control, ns) => {
    config.write(express + 0x28, 2, control);
    expect(completionTimeoutNs(config)).toBe(ns);
  });

  it('is none where there is no PCI Express capability', () => {
    expect(completionTimeoutNs(new ConfigSpace(new Uint8Array(256)))).toBe(0);
  });
});
