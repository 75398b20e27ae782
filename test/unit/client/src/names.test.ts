import { describe, expect, it } from 'vitest';
import {
  DMA_OPERATION,
  DOMAIN_TYPE,
  FAULT_KIND,
  OUTCOME,
  REQUEST_POINT,
  RESET_METHOD,
  ROLE,
  accessBits,
  accessText,
} from '../../../../client/src/names.ts';
import { DMA_OPERATIONS, HOLD_POINTS, OUTCOMES, RESET_METHODS } from '../../../../server/src/core/base/index.ts';
import { FAULT_KINDS } from '../../../../server/src/core/machine/index.ts';

describe('names', () => {
  it.each([
    ['outcomes', OUTCOME.names, OUTCOMES],
    ['reset methods', RESET_METHOD.names, RESET_METHODS],
    ['faults', FAULT_KIND.names, FAULT_KINDS],
    ['DMA operations', DMA_OPERATION.names.slice(0, 6), DMA_OPERATIONS],
    ['points', REQUEST_POINT.names.slice(0, 3), HOLD_POINTS],
    ['domain types', DOMAIN_TYPE.names, ['paging', 'identity', 'blocked']],
    ['roles', ROLE.names, ['host', 'device', 'memory', 'observer']],
  ])('%s are those of the machine, in its order', (_, names, expected) => {
    expect(names).toEqual([...expected]);
  });

  it('a number and its name are a pair', () => {
    expect([RESET_METHOD.numberOf('flr', 'method'), RESET_METHOD.nameOf(3)]).toEqual([3, 'flr']);
    expect([OUTCOME.numberOf('not-present', 'x'), OUTCOME.nameOf(2)]).toEqual([2, 'not-present']);
  });

  it('a number that is not known keeps itself; a name that is not known is EINVAL and lists those that are', () => {
    expect(RESET_METHOD.nameOf(99)).toBe('method-99');
    expect(() => RESET_METHOD.numberOf('kick' as 'flr', 'method')).toThrow(
      expect.objectContaining({ code: 'EINVAL', about: 'method', message: expect.stringContaining('flr') }),
    );
  });
});

describe('access', () => {
  it.each([
    ['r', 1],
    ['w', 2],
    ['rw', 3],
    ['x', 4],
    ['rwx', 7],
  ] as const)('%s is %i', (text, bits) => {
    expect([accessBits(text, 'access'), accessText(bits)]).toEqual([bits, text]);
  });

  it('another letter, or one twice, is EINVAL', () => {
    for (const wrong of ['q', 'rr', 'r w'])
      expect(() => accessBits(wrong as 'r', 'access')).toThrow(expect.objectContaining({ about: 'access' }));
  });

  it('none is no rights', () => {
    expect(accessText(0)).toBe('');
  });
});
