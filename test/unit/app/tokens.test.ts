import { describe, expect, test } from 'vitest';
import { Tokens, opens, tokenRows } from '../../../server/src/app/tokens.ts';

describe('tokens', () => {
  const tokens = new Tokens(tokenRows({ alpha: { roles: ['observer'], machines: ['ci-*', 'lab'] }, beta: {} }));

  test('a known one gives what it opens, another nothing', () => {
    expect(tokens.open).toBe(false);
    expect(tokens.grant('alpha')).toEqual({ roles: ['observer'], machines: ['ci-*', 'lab'] });
    expect(tokens.grant('beta')).toEqual({ roles: ['host', 'device', 'memory', 'observer'], machines: ['*'] });
    for (const wrong of ['', 'alph', 'alphaa', 'ALPHA', 'alpha ']) expect(tokens.grant(wrong)).toBeUndefined();
  });

  test('without any, everybody is let in', () => {
    expect(new Tokens([]).open).toBe(true);
  });

  test.each([
    ['ci-7', 'm-1', true],
    ['ci-', 'm-1', true],
    ['lab', 'm-1', true],
    ['x', 'lab', true],
    ['labs', 'm-1', false],
    ['xci-7', 'm-1', false],
    ['m-1', 'm-1', false],
  ])('ci-* and lab open the machine %s (%s): %s', (name, id, open) => {
    expect(opens({ roles: ['host'], machines: ['ci-*', 'lab'] }, name, id)).toBe(open);
  });
});
