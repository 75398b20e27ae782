import { describe, expect, it } from 'vitest';
import { bdf } from '../../../server/src/core/base/index.ts';
import { intxLineOf } from '../../../server/src/core/pci/index.ts';

describe('INTx at the root', () => {
  it('of a function on a root bus is its own pin, at function 0 of its device', () => {
    expect(intxLineOf(bdf(0, 0, 5, 3), 2, [])).toEqual({ device: bdf(0, 0, 5, 0), pin: 2 });
  });

  it('behind a port whose device is 0 stays: A to A', () => {
    expect(intxLineOf(bdf(0, 1, 0, 0), 1, [bdf(0, 0, 4, 1)])).toEqual({ device: bdf(0, 0, 4, 0), pin: 1 });
  });

  it.each([
    [0, 1, 1],
    [1, 1, 2],
    [3, 1, 4],
    [4, 1, 1],
    [5, 4, 1],
    [31, 4, 3],
  ])('device %i behind a bridge, pin %i: %i', (device, pin, out) => {
    expect(intxLineOf(bdf(0, 1, device, 0), pin, [bdf(0, 0, 2, 0)]).pin).toBe(out);
  });

  it('is moved on by every bridge, by the device that is below it', () => {
    // Device 2 below a downstream port that is device 3 below an upstream port that is device 0 below root port 00:1c.0.
    const bridges = [bdf(0, 2, 3, 0), bdf(0, 1, 0, 0), bdf(0, 0, 0x1c, 0)];
    expect(intxLineOf(bdf(0, 3, 2, 0), 1, bridges)).toEqual({ device: bdf(0, 0, 0x1c, 0), pin: 2 });
  });

  it('keeps the segment', () => {
    expect(intxLineOf(bdf(1, 1, 0, 0), 1, [bdf(1, 0, 2, 0)]).device).toBe(bdf(1, 0, 2, 0));
  });
});
