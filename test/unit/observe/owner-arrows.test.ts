import { expect, it } from 'vitest';
import { OwnerArrows } from '../../../server/src/observe/owner-arrows.ts';

it('gives each call the oldest request to its owner and page, and a call for none nothing', () => {
  const arrows = new OwnerArrows();
  const [first, second, other] = [arrows.add(1, 7), arrows.add(1, 7), arrows.add(2, 7)];
  expect(arrows.take(1, 8)).toBeUndefined();
  expect([arrows.take(1, 7), arrows.take(2, 7), arrows.take(1, 7), arrows.take(1, 7)]).toEqual([first, other, second, undefined]);
});
