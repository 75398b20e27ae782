/** `iommud status`: who takes part in a machine, what each waits for, and since when. */
import type { Command } from 'commander';
import { print, table } from '../output.ts';
import { Service, machinePath, talksToService, type ServiceOptions } from '../service.ts';

/** What REST says. */
interface Status {
  readonly nowNs: number;
  readonly clock: string;
  readonly nextAlarmNs: number | null;
  readonly clockWaitsFor: readonly number[];
  readonly clockHeldBy: readonly { readonly peer: number; readonly untilNs: number }[];
  readonly peers: readonly {
    readonly peer: number;
    readonly client: string;
    readonly roles: readonly string[];
    readonly plays: readonly string[];
    readonly silent: boolean;
    readonly calls: number;
    readonly mistakes: number;
    readonly owes: readonly { readonly call: string; readonly forMs: number | null }[];
  }[];
  readonly memory: readonly { readonly address: string; readonly bytes: string; readonly peer: number; readonly absent: boolean }[];
  readonly waiting: readonly {
    readonly call: string;
    readonly function: string | null;
    readonly sinceNs: number;
    readonly waitsFor: string;
  }[];
}

export function registerStatus(program: Command): void {
  talksToService(program.command('status').description('who takes part in a machine, what each waits for, and since when'))
    .argument('<machine>', 'id or name')
    .action(status);
}

async function status(name: string, options: ServiceOptions): Promise<void> {
  const found = await new Service(options).get<Status>(`${machinePath(name)}/status`, 'peers');
  print(options.json, found, () => [clockLine(found), ...peerLines(found), ...memoryLines(found), ...waitingLines(found)].join('\n'));
}

function clockLine({ clock, nowNs, nextAlarmNs, clockWaitsFor, clockHeldBy }: Status): string {
  const next = nextAlarmNs === null ? 'nothing to ring' : `next alarm at ${nextAlarmNs} ns`;
  const waits = clockWaitsFor.length === 0 ? '' : `; it waits for the answers of peer ${clockWaitsFor.join(', ')}`;
  const held = clockHeldBy.map(({ peer, untilNs }) => `; peer ${peer} holds it, and has granted it until ${untilNs} ns`).join('');
  return `clock ${clock}: ${nowNs} ns, ${next}${waits}${held}`;
}

function peerLines({ peers }: Status): readonly string[] {
  if (peers.length === 0) return ['nobody is connected'];
  const rows = peers.map(({ peer, client, roles, plays, silent, calls, owes, mistakes }) => [
    `${peer}`,
    client,
    roles.join(','),
    plays.join(',') || '-',
    calls === 0 ? '-' : `${calls} calls`,
    `${owes.length === 0 ? '-' : `${owes.map(owed).join(', ')}${silent ? ' (silent: nobody waits for it any more)' : ''}`}${mistakes === 0 ? '' : `; ${mistakes} wrong answers`}`,
  ]);
  return ['', table(['PEER', 'CLIENT', 'ROLES', 'PLAYS', 'WAITS FOR', 'OWES'], rows)];
}

function memoryLines({ memory }: Status): readonly string[] {
  if (memory.length === 0) return [];
  const rows = memory.map(({ address, bytes, peer, absent }) => [address, bytes, `peer ${peer}${absent ? ', which is gone: absent' : ''}`]);
  return ['', table(['MEMORY', 'BYTES', 'OWNER'], rows)];
}

function owed({ call, forMs }: Status['peers'][number]['owes'][number]): string {
  return `${call} ${forMs === null ? '(no credit)' : `for ${forMs} ms`}`;
}

function waitingLines({ waiting, nowNs }: Status): readonly string[] {
  if (waiting.length === 0) return ['', 'no call waits'];
  const rows = waiting.map(({ call, function: fn, sinceNs, waitsFor }) => [call, fn ?? '-', `${nowNs - sinceNs} ns`, waitsFor]);
  return ['', table(['CALL', 'FUNCTION', 'FOR', 'WAITS FOR'], rows)];
}
