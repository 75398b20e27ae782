import { describe, expect, it } from 'vitest';
import { nearestKey } from '../../../../server/src/app/topology/nearest-key.ts';

const KEYS = ['address', 'model', 'label', 'latency', 'children', 'bus'];

describe('nearestKey', () => {
  it.each([
    ['adress', 'address'],
    ['modle', 'model'],
    ['Model', 'model'],
    ['childrens', 'children'],
    ['lable', 'label'],
    ['bs', 'bus'],
  ])('takes %s for %s', (given, meant) => expect(nearestKey(given, KEYS)).toBe(meant));

  it.each(['', 'colour', 'x', 'memory', 'a'.repeat(10_000)])('takes "%s" for nothing', (given) => {
    expect(nearestKey(given, KEYS)).toBeUndefined();
  });
});
