import { describe, expect, it } from 'vitest';
import { IommudError, codeOf, errnoOf, textOf, type ErrorCode } from '../../../../client/src/errors.ts';
import { ERRORS } from '../../../../server/src/core/base/index.ts';

describe('codes', () => {
  it('are those of the machine, with the same numbers', () => {
    for (const [name, { wire }] of Object.entries(ERRORS)) {
      expect(errnoOf(name as ErrorCode)).toBe(wire);
      expect(codeOf(wire)).toBe(name);
    }
  });

  it('a number that is not known is EIO', () => {
    expect([codeOf(0), codeOf(4242)]).toEqual(['EIO', 'EIO']);
  });
});

describe('IommudError', () => {
  it('has code, number and subject', () => {
    const error = new IommudError({ code: 'EBUSY', message: 'a window is open', about: '00:02.0', elapsedNs: 5, cause: 'why' });
    expect(error).toMatchObject({
      name: 'IommudError',
      code: 'EBUSY',
      errno: 16,
      message: 'a window is open',
      about: '00:02.0',
      elapsedNs: 5,
      cause: 'why',
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('without the rest is about nothing', () => {
    const error = new IommudError({ code: 'EIO', message: 'm' });
    expect([error.about, error.elapsedNs, 'cause' in error]).toEqual(['', 0, false]);
  });
});

describe('textOf', () => {
  it('is the message, or the thing itself', () => {
    expect([textOf(new Error('m')), textOf('s'), textOf(3)]).toEqual(['m', 's', '3']);
  });
});
