/** Functions that are plugged into a machine that runs: a list of them as a topology document has it, made into specs for the place where they come. */
import type { FunctionSpec, PlugPlace } from '../../core/machine/index.ts';
import { BAR_WINDOW } from './bar-addresses.ts';
import { placeBelow, placeFunctions } from './bus-numbers.ts';
import { readDocument } from './document.ts';
import { refuse, type Source } from './place.ts';
import { TOPOLOGY_SCHEMA } from './schema.ts';
import { specsOf } from './topology-spec.ts';
import { validate } from './validate.ts';

const KEYS = ['schema', 'functions'];
/** Command, and its Memory Space Enable. */
const COMMAND = 0x04;
const MEMORY_SPACE = 0x02;

/**
 * In YAML or JSON, with `functions:` alone. BARs get addresses in the port's memory window, or above all that is taken; below a port whose window is closed
 * they have none and are not decoded until software has opened it, as after any hot plug. Whatever is wrong is `EINVAL` naming its line.
 */
export function readPluggedFunctions(text: string, place: PlugPlace): readonly FunctionSpec[] {
  const source = listed(readDocument(text, 'auto'));
  const { functions } = validate(source);
  const { port } = place;
  const placed = port === undefined ? placeFunctions(source, functions) : placeBelow(source, functions, place.segment, port);
  const window = port === undefined ? above(place) : port.window;
  const specs = specsOf(source, placed, window);
  if (window === undefined) for (const { config } of specs) config[COMMAND] = (config[COMMAND] ?? 0) & ~MEMORY_SPACE;
  return specs;
}

/** The list with what makes it a document; other keys are the machine's, which there is already. */
function listed(source: Source): Source {
  const { value } = source;
  if (typeof value !== 'object' || value === null || !('functions' in value)) {
    refuse(source, [], 'what is plugged in is an object with "functions", a list as in a topology');
  }
  const other = Object.keys(value).find((key) => !KEYS.includes(key));
  if (other !== undefined) refuse(source, [other], `${other} is the machine's own; what is plugged in has "functions" alone`, true);
  return {
    value: { schema: TOPOLOGY_SCHEMA, ...value },
    locate: (path, key) => source.locate(path, key),
    written: (path) => source.written(path),
  };
}

function above({ taken }: PlugPlace): { readonly base: number; readonly end: number } {
  let base: number = BAR_WINDOW.base;
  for (const { end } of taken) if (end > base && end <= BAR_WINDOW.end) base = end;
  return { base, end: BAR_WINDOW.end };
}
