import type { Calls } from '../../../proto/index.ts';
import { FORMAT_CHARS_MAX } from '../../../proto/limits.ts';
/** Which domain a call is about, and which tables a new one has. */
import type { Command, DomainTarget } from '../core/machine/index.ts';
import { invalid, missing } from './errors.ts';
import { needBigint, needFunction, needText, optionalPasid } from './fields.ts';

type Alloc = Extract<Command, { kind: 'domain-alloc' }>;

/** What DomainAlloc says of tables, without what it does not say. */
export function tablesOf(b: Calls['domainAlloc']['decoded']): Omit<Alloc, 'kind' | 'type' | 'sharedAddress'> {
  return {
    ...(b.format === null ? {} : { format: needText(b.format, 'format', FORMAT_CHARS_MAX) }),
    ...(b.root === null ? {} : { root: needBigint(b.root, 'root') }),
    ...(b.parent === null ? {} : { parent: b.parent }),
    ...(b.dirtyTracking === null ? {} : { dirtyTracking: b.dirtyTracking }),
    ...(b.accessedDirty === null ? {} : { accessedDirty: b.accessedDirty }),
    ...(b.ioas === null ? {} : { ioas: b.ioas }),
  };
}

interface TargetFields {
  readonly domain: number | null;
  readonly function: number | null;
  readonly pasid: number | null;
}

/** A domain by number, or by the function that has it: exactly one of the two. */
export function targetOf(b: TargetFields): DomainTarget {
  if (b.function === null) {
    if (b.domain === null) throw missing('domain');
    if (b.pasid !== null) throw invalid('pasid', 'needs function');
    return { domain: b.domain };
  }
  if (b.domain !== null) throw invalid('domain', 'and function exclude each other');
  return { bdf: needFunction(b.function), pasid: optionalPasid(b.pasid) };
}
