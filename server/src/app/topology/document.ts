/** Reads JSON or YAML 1.2 into a value that remembers its lines. */
import { ModelError } from '../../core/base/index.ts';
import { readJson } from './json-source.ts';
import { pathText, type Source } from './place.ts';
import { readYaml } from './yaml-source.ts';

/** 4 MiB: some three hundred functions with all of their configuration space in hex. */
export const TOPOLOGY_CHARACTERS_MAX = 1 << 22;

export type TopologyFormat = 'json' | 'yaml' | 'auto';

/** What is not well-formed is `EINVAL` with its line. `auto`: JSON when the first character is a brace. */
export function readDocument(text: string, format: TopologyFormat): Source {
  if (text.length > TOPOLOGY_CHARACTERS_MAX) {
    throw new ModelError(
      'EINVAL',
      `${text.length} characters are more than the ${TOPOLOGY_CHARACTERS_MAX} that a topology may have`,
      'topology',
    );
  }
  return format === 'json' || (format === 'auto' && text.trimStart().startsWith('{')) ? readJson(text) : readYaml(text);
}

/** A value that came without text, as in a request's body. */
export function valueSource(value: unknown): Source {
  return { value, locate: (path) => (path.length === 0 ? 'topology' : pathText(path)), written: () => undefined };
}
