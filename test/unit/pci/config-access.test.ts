import { describe, expect, it } from 'vitest';
import { checkConfigAccess } from '../../../server/src/core/pci/index.ts';

describe('checkConfigAccess', () => {
  it.each([
    [64, 0, 4],
    [64, 63, 1],
    [256, 254, 2],
    [4096, 4092, 4],
  ])('lets through %i bytes, offset %i, width %i', (space, offset, width) => {
    expect(() => checkConfigAccess(space, offset, width)).not.toThrow();
  });

  it.each([
    [64, 64, 1, '1 bytes at 0x40 are beyond the 64 bytes of configuration space'],
    [256, 256, 4, '4 bytes at 0x100 are beyond the 256 bytes of configuration space'],
    [4096, 4095, 2, 'beyond the 4096 bytes'],
    [4096, 0xffff_ffff, 4, 'beyond'],
    [256, -1, 1, '-1 is no offset'],
    [256, 1.5, 1, '1.5 is no offset'],
    [256, Number.NaN, 1, 'NaN is no offset'],
    [256, 0, 3, 'in 1, 2 or 4 bytes, not 3'],
    [256, 0, 8, 'in 1, 2 or 4 bytes, not 8'],
    [256, 0, 0, 'in 1, 2 or 4 bytes, not 0'],
    [256, 2, 4, "offset 0x2 is not a multiple of the access's 4 bytes"],
    [256, 7, 2, 'offset 0x7 is not a multiple'],
  ])('refuses %i bytes, offset %i, width %i', (space, offset, width, text) => {
    expect(() => checkConfigAccess(space, offset, width)).toThrow(
      expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(text) }),
    );
  });
});
