/** Holds a value to the schema, and says what is wrong in words that help. */
import { Value } from 'typebox/value';
import { hex } from '../../core/base/index.ts';
import { capabilityKeys, capabilityTypes } from './capability-schema.ts';
import { nearestKey } from './nearest-key.ts';
import { refuse, type Path, type Source } from './place.ts';
import { KEYS, TOPOLOGY_SCHEMA, topologySchema, type TopologyDocument } from './schema.ts';

const PLACE = /^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i;
const CHILD_PLACE = /^[01][0-9a-f]\.[0-7]$/i;

/** Keys in functions whose `address` is physical. */
const RANGES = ['directRegions', 'reservedRegions', 'window'] as const;

interface Problem {
  readonly keyword: string;
  readonly path: Path;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** The document of a source; anything else is `EINVAL` naming line, key and what to write. */
export function validate(source: Source): TopologyDocument {
  const { value } = source;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(source, [], `a topology is an object with "schema: ${TOPOLOGY_SCHEMA}"`);
  }
  const problems = errorsOf(source, value).map(({ keyword, params, message, instancePath }): Problem => {
    return { keyword, path: pathOf(instancePath, value), params: { ...params }, message };
  });
  const worst = problems.filter(explains).sort((a, b) => rank(a) - rank(b) || b.path.length - a.path.length)[0];
  if (worst !== undefined) report(source, worst);
  return value as unknown as TopologyDocument;
}

/** The check recurses, and a value from a request can be nested as deeply as its sender likes. */
function errorsOf(source: Source, value: object): ReturnType<typeof Value.Errors> {
  try {
    return Value.Errors(topologySchema, value);
  } catch (error) {
    if (error instanceof RangeError) refuse(source, [], 'nested too deeply');
    throw error;
  }
}

/** That an object is none of the alternatives explains nothing where something is wrong in it. */
function explains({ keyword, path }: Problem, _at: number, all: readonly Problem[]): boolean {
  if (!ALTERNATIVES.has(keyword)) return true;
  return !all.some((other) => other.path.length > path.length && path.every((part, i) => other.path[i] === part));
}

const ALTERNATIVES: ReadonlySet<string> = new Set(['anyOf', 'const', 'type']);

/** An unknown key explains a missing one, and what is inside explains why no alternative fits. */
function rank(problem: Problem): number {
  const order = ['boolean', 'type', 'pattern', 'const', 'enum', 'required', 'anyOf'];
  const at = order.indexOf(problem.keyword);
  return problem.path[0] === 'schema' ? -1 : at < 0 ? order.length : at;
}

function report(source: Source, problem: Problem): never {
  const { keyword, path, params } = problem;
  const value = valueAt(source.value, path);
  const key = lastKey(path);
  // A key that no property allows meets the schema `false`.
  if (keyword === 'boolean') {
    const near = nearestKey(key, keysAt(path.slice(0, -1)));
    refuse(source, path, `unknown key "${shown(key)}"${near === undefined ? '' : `; did you mean "${near}"?`}`, true);
  }
  if (path.includes('capabilities') && keyword !== 'required' && keyword !== 'enum') refuseCapability(source, path, value);
  if (keyword === 'required') refuse(source, path, `"${(params['requiredProperties'] as readonly string[]).join('", "')}" is missing`);
  if (path[0] === 'schema') refuse(source, path, `schema is ${described(value)}; this reads "${TOPOLOGY_SCHEMA}"`);
  if (typeof value === 'number' && keyword === 'type') {
    refuse(source, path, `${key} is the number ${value}; write "${intended(value, path, source.written(path))}"`);
  }
  if (keyword === 'enum') {
    const allowed = params['allowedValues'] as readonly string[];
    const near = typeof value === 'string' ? nearestKey(value, allowed) : undefined;
    const hint = near === undefined ? `; it is one of ${allowed.join(', ')}` : `; did you mean "${near}"?`;
    refuse(source, path, `${key} is ${described(value)}${hint}`);
  }
  if (key === 'iommu') refuse(source, path, `iommu is ${described(value)}; write "none" or an object with invalidationTimeout`);
  if (keyword === 'pattern' && key === 'name') {
    refuse(
      source,
      path,
      `name is ${described(value)}; it is up to 64 letters, digits, ".", "_" and "-", and begins with a letter or a digit`,
    );
  }
  const segment = typeof value === 'string' && keyword === 'pattern' ? /^([0-9a-f]{5,}):/i.exec(value)?.[1] : undefined;
  if (segment !== undefined) refuse(source, path, `${key} is ${described(value)}; segment ${shown(segment)} is wider than 16 bits`);
  if (keyword === 'pattern') refuse(source, path, `${key} is ${described(value)}; write it as ${key === 'bus' ? '"01"' : '"00:02.0"'}`);
  if (
    typeof value === 'string' &&
    ['acs', 'ats', 'multifunction', 'deferAttach', 'blockedDomain', 'noFlr', 'noPm', 'noBus'].includes(key)
  ) {
    refuse(source, path, `${key} is ${described(value)}; write true or false`);
  }
  refuse(source, path, `${key} is ${described(value)}; it ${problem.message}`);
}

function refuseCapability(source: Source, path: Path, value: unknown): never {
  const keys = keysAt(path);
  const object = keys.length === 0 ? '' : `an object with ${keys.slice(0, 4).join(', ')}${keys.length > 4 ? ' or others' : ''}`;
  const writes = [...simpleForms(path), ...(object === '' ? [] : [object])];
  refuse(source, path, `${lastKey(path)} is ${described(value)}; write ${writes.join(' or ')}`);
}

/** What can be written in place of an object. */
function simpleForms(path: Path): readonly string[] {
  const types = capabilityTypes(path.slice(path.indexOf('capabilities') + 1));
  const words = { boolean: 'true or false', number: 'a number', string: 'a text in quotes', array: 'a list', false: 'false' };
  return Object.entries(words).flatMap(([type, word]) => (types.has(type) ? [word] : []));
}

/** What the writer of a number meant. */
function intended(value: number, path: Path, written: string | undefined): string {
  const key = lastKey(path);
  if (key === 'latency') return '250ns';
  if (key === 'invalidationTimeout') return '60s';
  if (key === 'bus') return (written ?? String(value)).padStart(2, '0');
  if (key === 'address')
    return path[0] === 'functions' && !RANGES.some((range) => path.includes(range))
      ? intendedPlace(value, path, written)
      : (written ?? hex(value));
  return written ?? String(value);
}

/** The place as written, else what YAML 1.1, which counts in base 60, reads as this number. */
function intendedPlace(value: number, path: Path, written: string | undefined): string {
  if (written !== undefined && PLACE.test(written)) return written;
  const inChildren = path.includes('children');
  if (inChildren && written !== undefined && CHILD_PLACE.test(written)) return written;
  // In other notations the digits are not those of a place.
  if (written !== undefined && !/^\d+(\.\d+)?$/.test(written)) return '00:02.0';
  const tenths = Math.round(value * 10);
  const [bus, device, fn] = [Math.floor(tenths / 600), Math.floor(tenths / 10) % 60, tenths % 10];
  if (!(value >= 0) || bus > 99 || device > 19 || fn > 7) return '00:02.0';
  const place = `${String(device).padStart(2, '0')}.${fn}`;
  return inChildren && bus === 0 ? place : `${String(bus).padStart(2, '0')}:${place}`;
}

function keysAt(path: Path): readonly string[] {
  if (path.length === 0) return KEYS.machine;
  if (path[0] === 'memory') return KEYS.memory;
  if (path[0] === 'ecam') return KEYS.ecam;
  const at = path.indexOf('capabilities');
  if (at >= 0) return capabilityKeys(path.slice(at + 1));
  if (path.includes('directRegions')) return KEYS.directRegion;
  if (path.includes('reservedRegions')) return KEYS.reservedRegion;
  if (path.includes('slot')) return KEYS.slot;
  if (path.includes('bars')) return KEYS.bar;
  if (path.includes('reset')) return KEYS.reset;
  if (path.includes('window')) return KEYS.window;
  return path[0] === 'iommu' ? KEYS.iommu : KEYS.function;
}

function lastKey(path: Path): string {
  return String(path.findLast((part) => typeof part === 'string') ?? 'topology');
}

/** Splits a JSON pointer; a part is an index where the value has an array. */
function pathOf(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const raw of pointer.split('/').slice(1)) {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    const part = Array.isArray(value) ? Number(name) : name;
    path.push(part);
    value = (value as Record<string | number, unknown> | undefined)?.[part];
  }
  return path;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const part of path) value = (value as Record<string | number, unknown> | null | undefined)?.[part];
  return value;
}

function described(value: unknown): string {
  if (typeof value === 'string') return `"${shown(value)}"`;
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`;
  return value === null ? 'empty' : Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : 'missing';
}

function shown(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
