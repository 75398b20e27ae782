import { expect, it } from 'vitest';
import { iommud } from '../../../proto/index.ts';
import { ERRORS } from '../../../server/src/core/base/index.ts';
import { codeOf, errorBody } from '../../../server/src/rpc/errors.ts';

it('core and the contract have one table of codes', () => {
  const proto = Object.entries(iommud.v1.ErrorCode as unknown as Record<string, number>).filter(([, number]) => number !== 0);
  expect(proto.map(([name, number]) => [name.replace('ERROR_CODE_', ''), number])).toEqual(
    Object.entries(ERRORS).map(([name, row]) => [name, row.wire]),
  );
});

it('an error says its code twice, and is cut to what the contract promises', () => {
  expect(errorBody('EINVAL', 'x'.repeat(2000), 'y'.repeat(200), 5)).toEqual({
    code: 22,
    name: 'EINVAL',
    message: 'x'.repeat(1024),
    about: 'y'.repeat(128),
    elapsedNs: { low: 5, high: 0 },
  });
});

it('an unknown number of a peer is EIO', () => {
  const error = (code: number): iommud.v1.Error => new iommud.v1.Error({ code });
  expect(codeOf(error(110))).toBe('ETIMEDOUT');
  expect(codeOf(error(0))).toBe('EIO');
  expect(codeOf(error(4_000_000_000))).toBe('EIO');
});
