import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromPlainText, plainText } from '../../../../server/src/rpc/recording/plain-text.ts';

const leaf = fc.oneof(
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 20 }),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe('plain data as text', () => {
  it('comes back as it was, with each property in its place', () => {
    fc.assert(
      fc.property(value, (original) => {
        const back = fromPlainText(plainText(original));
        expect(back).toStrictEqual(original);
        expect(plainText(back)).toBe(plainText(original));
      }),
    );
  });

  it('has bytes of a part of a buffer, and no other object', () => {
    const bytes = Buffer.from('0123456789').subarray(3, 5);
    expect(fromPlainText(plainText({ bytes }))).toStrictEqual({ bytes: Uint8Array.of(0x33, 0x34) });
    expect(() => plainText(new Map())).toThrow('a Map is no plain data');
    expect(() => plainText({ call: () => undefined })).toThrow('a function is no plain data');
  });
});
