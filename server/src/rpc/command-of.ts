import { ModelError } from '../core/base/index.ts';
import type { Command, PeerRoles } from '../core/machine/index.ts';
import { SERVED } from './decode.ts';

/**
 * The command that a call is, of a connection with these roles. Throws {@link ModelError}: ENOSYS for a body that is no call of the machine, EPERM where
 * the roles do not allow it, EINVAL for what it says.
 */
export function commandOf(number: number, body: object | undefined, data: Uint8Array | undefined, roles: PeerRoles): Command {
  const row = number < SERVED.length ? SERVED[number] : undefined;
  if (row === undefined || body === undefined) throw new ModelError('ENOSYS', `body ${number} is no call that this end serves`, 'body');
  if (!row.roles.some((role) => roles[role])) {
    throw new ModelError('EPERM', `${row.name} needs the role ${row.roles.join(' or ')}`, 'roles');
  }
  return row.decode(body, data);
}
