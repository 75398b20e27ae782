import { expect } from 'vitest';

/**
 * As `expect(is, what).toEqual(should)`, for properties that are looked at some hundred thousand times: vitest is asked only where there is something
 * to say, since its assertion takes longer than what it is about.
 */
export function same(is: unknown, should: unknown, what?: string): void {
  if (!equal(is, should)) expect(is, what).toEqual(should);
}

/** False may mean that it is not known. */
function equal(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length || Array.isArray(one) !== Array.isArray(other)) return false;
  return keys.every((key) => equal((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key]));
}
