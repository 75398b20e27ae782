import type { iommud } from '../../../proto/index.ts';
import { HELLO_LIST_MAX } from '../../../proto/limits.ts';
import { ModelError } from '../core/base/index.ts';
import type { PeerRoles } from '../core/machine/index.ts';
import { EVENT_CLASSES, type EventClassName } from './enums.ts';
import { invalid } from './errors.ts';
import { needWord } from './fields.ts';

/** The classes that a Subscribe chooses. Throws {@link ModelError} EINVAL, EPERM, EOPNOTSUPP. */
export function subscription(body: iommud.v1.Subscribe, roles: PeerRoles, traceable: boolean): readonly EventClassName[] {
  if (!roles.host && !roles.observer) throw new ModelError('EPERM', 'subscribe needs the role host or observer', 'roles');
  if (body.events.length > HELLO_LIST_MAX)
    throw invalid('events', `has ${body.events.length} entries; at most ${HELLO_LIST_MAX} are allowed`);
  const classes = body.events.map((number) => needWord(number, 'events', EVENT_CLASSES));
  if (classes.includes('trace')) {
    if (!roles.observer) throw new ModelError('EPERM', 'the trace needs the role observer', 'events');
    if (!traceable) throw new ModelError('EOPNOTSUPP', 'this machine has no trace', 'events');
  }
  return classes;
}
