/** Commands of REST: submitted as a socket's are, and a refusal thrown. */
import { ModelError, parseBdf, type Bdf } from '../core/base/index.ts';
import type { Command, CommandKind, ReplyOf } from '../core/machine/index.ts';
import type { MachineHost } from '../rpc/index.ts';
import { Refusal } from './refusal.ts';

type Answered<K extends CommandKind> = Exclude<ReplyOf<K>, { kind: 'refused' }>;

/** The reply, when it is no refusal. */
export async function submit<K extends CommandKind>(host: MachineHost, command: Extract<Command, { kind: K }>): Promise<Answered<K>> {
  const reply = await host.call(command);
  if (reply.kind === 'refused') throw new Refusal(reply.code, reply.message, reply.about);
  return reply as Answered<K>;
}

/** A function's address from a path. */
export function place(text: string): Bdf {
  const bdf = parseBdf(text);
  if (bdf === undefined) throw new ModelError('EINVAL', `'${text}' is not the address of a function; write 00:02.0 or 0000:00:02.0`, 'bdf');
  return bdf;
}
