import { describe, expect, it } from 'vitest';
import { bdfText, packBdf } from '../../../../client/src/bdf.ts';

describe('bdf', () => {
  it.each([
    ['00:02.0', 0x10, '00:02.0'],
    ['0000:00:02.0', 0x10, '00:02.0'],
    ['ff:1f.7', 0xffff, 'ff:1f.7'],
    ['FFFF:3a:00.1', 0xffff_3a01, 'ffff:3a:00.1'],
  ])('%s', (text, packed, shown) => {
    expect(packBdf(text)).toBe(packed);
    expect(bdfText(packed)).toBe(shown);
  });

  it.each(['', '2', '00:02', '0:2.0', '00:20.0', '00:02.8', '10000:00:02.0', ' 00:02.0'])("'%s' is no place", (text) => {
    expect(() => packBdf(text)).toThrow(expect.objectContaining({ code: 'EINVAL', about: 'function' }));
  });
});
