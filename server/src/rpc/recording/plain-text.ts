/** Commands and replies of the service itself as text: JSON, with what JSON does not have in an object of one key. */

const BIGINT = '$bigint';
const BYTES = '$bytes';
const UNDEFINED = '$undefined';
const NUMBER = '$number';

/** Plain data only: throws TypeError for anything else. */
export function plainText(value: unknown): string {
  return JSON.stringify(toJson(value));
}

/** As it was, each property in its place, those that are undefined too. Throws SyntaxError. */
export function fromPlainText(text: string): unknown {
  return fromJson(JSON.parse(text));
}

function toJson(value: unknown): unknown {
  switch (typeof value) {
    case 'bigint':
      return { [BIGINT]: String(value) };
    case 'undefined':
      return { [UNDEFINED]: true };
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { [NUMBER]: Object.is(value, -0) ? '-0' : String(value) };
    case 'string':
    case 'boolean':
      return value;
    case 'object':
      return value === null ? null : objectToJson(value);
    default:
      throw new TypeError(`a ${typeof value} is no plain data`);
  }
}

function objectToJson(value: object): unknown {
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Uint8Array) return { [BYTES]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new TypeError(`a ${value.constructor.name} is no plain data`);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, toJson(field)]));
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  const [first] = entries;
  if (entries.length === 1 && first !== undefined) {
    const [key, inside] = first;
    if (key === BIGINT) return BigInt(String(inside));
    if (key === UNDEFINED) return undefined;
    if (key === NUMBER) return Number(inside);
    if (key === BYTES) return Uint8Array.from(Buffer.from(String(inside), 'base64'));
  }
  return Object.fromEntries(entries.map(([key, field]) => [key, fromJson(field)]));
}
