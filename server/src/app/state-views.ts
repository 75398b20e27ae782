/** What the routes of a machine's state show: addresses as text, and null where there is nothing. */
import { formatBdf, hex } from '../core/base/index.ts';
import type { ReplyOf } from '../core/machine/index.ts';
import type { SessionStatus } from '../rpc/index.ts';
import type * as body from './state-schemas.ts';
import { domainView } from './views.ts';

const PAGE_BYTES = 4096;

type Group = Extract<ReplyOf<'group-info'>, { kind: 'group-info' }>['group'];
type Domain = Extract<ReplyOf<'domain-list'>, { kind: 'domain-list' }>['domains'][number];
type Entry = Extract<ReplyOf<'ledger'>, { kind: 'ledger' }>['entries'][number];
type MachineStatus = Extract<ReplyOf<'machine-status'>, { kind: 'machine-status' }>;

export function groupView(of: Group): body.GroupList['groups'][number] {
  return {
    group: of.group,
    members: of.members.map(formatBdf),
    domain: domainView(of.domain),
    defaultDomain: domainView(of.defaultDomain),
    defaultType: of.defaultType ?? null,
    recoveryCount: of.recoveryCount,
    owned: of.owned,
    busy: of.busy,
    waiting: of.waiting,
  };
}

export function domainDetailView(of: Domain): body.DomainList['domains'][number] {
  return {
    id: of.id,
    type: of.type,
    sharedAddress: of.sharedAddress,
    format: of.format ?? null,
    parent: of.parent ?? null,
    functions: of.functions.map(formatBdf),
    pasids: of.pasids.map(({ bdf, pasid }) => ({ function: formatBdf(bdf), pasid })),
  };
}

export function ledgerView(of: Entry): body.Ledger['entries'][number] {
  return { ...of, iova: hex(of.iova), address: of.address === undefined ? null : hex(of.address) };
}

/** `sessions`: what the machine does not know of those who take part. */
export function statusView(of: MachineStatus, sessions: readonly SessionStatus[]): body.Status {
  return {
    nowNs: of.nowNs,
    clock: of.clock,
    nextAlarmNs: of.nextAlarmNs ?? null,
    clockWaitsFor: [...of.clockWaitsFor],
    clockHeldBy: of.clockHeldBy.map((each) => ({ ...each })),
    peers: sessions.map(({ peer, client, roles, calls, owes, mistakes }) => {
      const known = of.peers.find((each) => each.peer === peer);
      return {
        peer,
        client,
        roles: Object.entries(roles).flatMap(([role, has]) => (has ? [role] : [])),
        plays: (known?.plays ?? []).map(formatBdf),
        silent: known?.silent ?? false,
        calls,
        mistakes,
        owes: owes.map(({ call, forMs }) => ({ call, forMs: forMs === undefined ? null : Math.round(forMs) })),
      };
    }),
    memory: of.memory.map(({ address, bytes, peer, absent }) => ({ address: hex(address), bytes: hex(bytes), peer, absent })),
    waiting: of.waiting.map(({ call, bdf, sinceNs, waitsFor }) => ({
      call,
      function: bdf === undefined ? null : formatBdf(bdf),
      sinceNs,
      waitsFor,
    })),
  };
}

/** `bitmap`: a bit for each page of 4096 bytes from the address on. */
export function writtenRanges(address: bigint, bitmap: Uint8Array): body.WrittenRanges['ranges'] {
  const ranges: body.WrittenRanges['ranges'] = [];
  let first = -1;
  for (let page = 0; page <= bitmap.length * 8; page++) {
    const isDirty = ((bitmap[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
    if (isDirty && first === -1) first = page;
    if (isDirty || first === -1) continue;
    ranges.push({ address: hex(address + BigInt(first * PAGE_BYTES)), bytes: (page - first) * PAGE_BYTES });
    first = -1;
  }
  return ranges;
}
