import { expect, it } from 'vitest';
import { closeReason } from '../../../server/src/transport/close-reason.ts';

it('cuts a reason to 123 bytes, and never inside a character', () => {
  expect(closeReason('short')).toBe('short');
  expect(closeReason('')).toBe('');
  expect(closeReason('x'.repeat(123))).toBe('x'.repeat(123));
  expect(closeReason('x'.repeat(124))).toBe('x'.repeat(123));
  expect(closeReason('é'.repeat(100))).toBe('é'.repeat(61));
  expect(closeReason('😀'.repeat(50))).toBe('😀'.repeat(30));
});
