import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { shown } from '../../../../client/src/shown.ts';

describe('shown', () => {
  const result = shown({ outcome: 'not-present', bytes: 0, failedIova: 0x11000n, data: undefined, ranges: [{ address: 0x80000000n }] });

  it('prints addresses in hexadecimal and leaves out what there is not', () => {
    expect(inspect(result)).toBe(
      "{\n  outcome: 'not-present',\n  bytes: 0,\n  failedIova: 0x11000,\n  ranges: [ { address: 0x80000000 } ]\n}",
    );
  });

  it('prints also inside another object', () => {
    expect(inspect({ result: shown({ at: 16n }) })).toBe('{ result: { at: 0x10 } }');
  });

  it('changes nothing of the values', () => {
    expect(result.failedIova).toBe(69632n);
    expect(result).toEqual({ outcome: 'not-present', bytes: 0, failedIova: 69632n, ranges: [{ address: 0x80000000n }] });
    expect(Object.keys(result)).toEqual(['outcome', 'bytes', 'failedIova', 'data', 'ranges']);
  });
});
