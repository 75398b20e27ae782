/** What a call came to, as a scenario says it: a word, and fields by name. */
import { formatBdf, hex, pasid as checkPasid, type Bdf } from '../core/base/index.ts';
import type { DomainSummary, FunctionDetail, GroupDetail, Reply, WindowReport } from '../core/machine/index.ts';
import type { Expectation } from './syntax.ts';

export interface Outcome {
  readonly word: string;
  readonly fields: Readonly<Record<string, string>>;
}

const NONE: Outcome['fields'] = {};
export const PENDING: Outcome = { word: 'pending', fields: NONE };
export const OK: Outcome = { word: 'ok', fields: NONE };

export function outcomeOf(reply: Reply): Outcome {
  switch (reply.kind) {
    case 'refused':
      return { word: reply.code, fields: { about: reply.about } };
    case 'dma':
      return came(reply.outcome, () => ({ bytes: reply.bytesDone, ...(reply.data === undefined ? {} : { data: textOf(reply.data) }) }));
    case 'memory-read':
      return came('ok', () => ({ data: textOf(reply.data) }));
    case 'region-read':
      return came('ok', () => ({ value: `0x${(reply.valueLow >>> 0).toString(16)}` }));
    case 'memory-alloc':
      return came('ok', () => ({ address: hex(reply.address) }));
    case 'domain-alloc':
      return came('ok', () => ({ domain: reply.domain }));
    case 'call-hold':
      return came('ok', () => ({ hold: reply.hold }));
    case 'unmap':
      return came('ok', () => ({ bytes: reply.bytes, 'timed-out': reply.timedOut }));
    case 'iova-to-phys':
      return came(reply.mapped ? 'mapped' : 'not-mapped', () => ({ address: hex(reply.address) }));
    case 'reset-prepare':
      return came('ok', () => ({ depth: reply.depth, ...report(reply) }));
    case 'reset-done':
      return came('ok', () => ({ depth: reply.depth, skipped: reply.skipped, warning: reply.warning }));
    case 'reset':
      return came('ok', () => ({ method: reply.method, ...report(reply), elapsed: reply.elapsedNs, warning: reply.warning }));
    case 'bus-reset':
      return came('ok', () => ({ functions: places(reply.functions), ...report(reply), elapsed: reply.elapsedNs, warning: reply.warning }));
    case 'reset-methods':
      return came('ok', () => ({ methods: reply.methods.join(','), warning: reply.warning }));
    case 'function-plug':
      return came('ok', () => ({ functions: places(reply.functions) }));
    case 'function-unplug':
      return came('ok', () => ({ functions: places(reply.functions), drained: reply.drained, aborted: reply.aborted }));
    case 'function-info':
      return came('ok', () => functionFields(reply.function));
    case 'group-info':
      return came('ok', () => groupFields(reply.group));
    case 'ledger':
      return came('ok', () => ({ entries: reply.entries.length, points: reply.entries.map(({ point }) => point).join(',') }));
    case 'fault-records':
      return came('ok', () => ({ records: reply.records.length, last: reply.records.at(-1)?.cause ?? 'none' }));
    case 'fault-armed':
      return came('ok', () => ({ armed: reply.armed }));
    case 'fault-list': {
      const last = reply.faults.at(-1);
      return came('ok', () => ({ faults: reply.faults.length, acted: last?.acted ?? 0, left: last?.left ?? 'endless' }));
    }
    case 'error-recover':
      return came(reply.recovered ? 'recovered' : 'failed', () => ({ status: reply.status, reset: reply.reset }));
    case 'calls-held':
      return came('ok', () => ({ calls: reply.calls.map(({ call, step }) => `${call}:${step}`).join(',') }));
    case 'unmapped-ranges': {
      const [first] = reply.ranges;
      return came('ok', () => ({
        ranges: reply.ranges.length,
        first: `0x${(first?.first ?? 0n).toString(16)}`,
        last: `0x${(first?.last ?? 0n).toString(16)}`,
      }));
    }
    case 'clock':
      return came('ok', () => ({ now: reply.nowNs }));
    default:
      return OK;
  }
}

/** The fields of the expectation that are not so; empty when all are. */
export function differences(outcome: Outcome, { word, fields }: Expectation): readonly string[] {
  const wrong: string[] = [];
  if (word !== '' && word !== outcome.word) wrong.push(`${outcome.word} in place of ${word}`);
  for (const [name, value] of fields) {
    const is = outcome.fields[name];
    if (is !== value) wrong.push(is === undefined ? `there is no field ${name}` : `${name}=${is} in place of ${value}`);
  }
  return wrong;
}

function functionFields(fn: FunctionDetail): Readonly<Record<string, unknown>> {
  return {
    blocked: fn.blocked,
    depth: fn.resetDepth,
    gate: fn.gate,
    ats: fn.atsEnabled,
    deferred: fn.attachDeferred,
    domain: idOf(fn.logicalDomain),
    physical: fn.physicalDomain?.type ?? 'none',
    pasids: fn.pasids.map(({ pasid, logicalDomain }) => `${checkPasid(pasid)}:${logicalDomain.id}`).join(','),
    'in-flight': fn.inFlight,
  };
}

function groupFields(group: GroupDetail): Readonly<Record<string, unknown>> {
  return {
    members: places(group.members),
    domain: idOf(group.domain),
    default: group.domain?.id === group.defaultDomain?.id,
    type: group.defaultType ?? 'none',
    recovery: group.recoveryCount,
    owned: group.owned,
    busy: group.busy,
    waiting: group.waiting,
  };
}

function report({ skipped, drained, aborted, indeterminate, completed, timedOut }: WindowReport): Readonly<Record<string, unknown>> {
  return { skipped, drained, aborted, indeterminate, completed, 'timed-out': timedOut };
}

function places(functions: readonly Bdf[]): string {
  return functions.map(formatBdf).join(',');
}

function idOf(domain: DomainSummary | undefined): string {
  return domain === undefined ? 'none' : `${domain.id}`;
}

/** Most fields of most outcomes are never asked for: they become text when they are. */
function came(word: string, fieldsOf: () => Readonly<Record<string, unknown>>): Outcome {
  let fields: Outcome['fields'] | undefined;
  return {
    word,
    get fields() {
      return (fields ??= Object.fromEntries(Object.entries(fieldsOf()).map(([name, value]) => [name, String(value)])));
    },
  };
}

/** Printable text as it is; a byte that is none as \xNN. */
function textOf(data: Uint8Array): string {
  return [...data]
    .map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCodePoint(byte) : `\\x${byte.toString(16).padStart(2, '0')}`))
    .join('');
}
