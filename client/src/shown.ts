/**
 * How results look in `console.log`: bigints, which are addresses, in hexadecimal, and nothing where there is nothing to say. Only Node's
 * inspect looks at this; the values are as they are.
 */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

type Inspect = (value: unknown, options: object) => string;

const SHOWN: object = Object.defineProperty({}, INSPECT, {
  value(this: object, _depth: number, options: object, inspect: Inspect): string {
    return inspect(legible(this), options);
  },
});

/** Makes a result legible when printed; to read and to compare it is as it was. */
export function shown<T extends object>(value: T): T {
  // A new prototype for a fresh object is cheap; a property of its own, or a copy, costs several times as much on every result.
  return Object.setPrototypeOf(value, SHOWN) as T;
}

function legible(value: unknown): unknown {
  if (typeof value === 'bigint') return { [INSPECT]: () => `0x${value.toString(16)}` };
  if (Array.isArray(value)) return value.map(legible);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const members = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(members.map(([key, item]) => [key, legible(item)]));
}
