/** What a machine says of functions, groups and domains, to bodies of the wire. */
import { u64FromBigint, u64FromNumber } from '../../../proto/index.ts';
import type {
  ArmedFaultSummary,
  BusErrorReport,
  DomainSummary,
  FunctionDetail,
  FunctionSummary,
  GroupDetail,
  RegionSummary,
  Reply,
} from '../core/machine/index.ts';
import {
  DEFAULT_DOMAIN_TYPES,
  DOMAIN_TYPES,
  ERRORS_ON_BUS,
  FAULTS,
  MEMORY_ERROR,
  MESSAGES,
  METHODS,
  POINTS,
  RECOVERY_RESET,
  VOTE,
} from './enums.ts';
import type { Send } from './send.ts';

export function functionSummary(fn: FunctionSummary): Send<'FunctionSummary'> {
  return {
    function: fn.bdf,
    model: fn.model,
    label: fn.label,
    configBytes: fn.configBytes,
    vendor: fn.vendor,
    device: fn.device,
    classCode: fn.classCode,
    secondaryBus: presentOrNull(fn.secondaryBus),
    group: presentOrNull(fn.group),
    atsSupported: fn.atsSupported,
    blocked: fn.blocked,
    resetDepth: fn.resetDepth,
    gateOpen: fn.gate === 'open',
    inFlight: fn.inFlight,
    absent: fn.absent,
    physicalFunction: fn.physicalFunction ?? null,
    linkDown: fn.linkDown,
  };
}

export function functionDetail(fn: FunctionDetail): Send<'FunctionInfoReply'> {
  return {
    summary: functionSummary(fn),
    busMaster: fn.busMaster,
    atsEnabled: fn.atsEnabled,
    resetMethods: fn.resetMethods.map((method) => METHODS.number[method]),
    logicalDomain: domainOrNull(fn.logicalDomain),
    physicalDomain: domainOrNull(fn.physicalDomain),
    pasids: fn.pasids.map(({ pasid, logicalDomain, physicalDomain }) => ({
      pasid,
      logicalDomain: domainSummary(logicalDomain),
      physicalDomain: domainOrNull(physicalDomain),
    })),
    windows: [...fn.windows],
    armedFaults: fn.armedFaults.map((fault) => FAULTS.number[fault]),
    itags: fn.itags,
    attachDeferred: fn.attachDeferred,
    directRegions: fn.directRegions.map(directRegion),
    reservedRegions: fn.reservedRegions.map(({ address, bytes, type }) => ({
      address: u64FromBigint(address),
      bytes: u64FromBigint(bytes),
      type,
    })),
  };
}

function directRegion({ address, bytes, relaxable }: FunctionDetail['directRegions'][number]): Send<'DirectRegion'> {
  return { address: u64FromBigint(address), bytes: u64FromBigint(bytes), relaxable };
}

export function regionInfo({ region, kind, prefetchable, address, bytes }: RegionSummary): Send<'RegionInfo'> {
  const size = bytes === undefined ? null : u64FromBigint(bytes);
  return { region, kind, prefetchable, address: u64FromBigint(address), bytes: size };
}

export function groupDetail(group: GroupDetail): Send<'GroupInfoReply'> {
  return {
    ...group,
    members: [...group.members],
    domain: domainOrNull(group.domain),
    defaultDomain: domainOrNull(group.defaultDomain),
    defaultType: group.defaultType === undefined ? 0 : DEFAULT_DOMAIN_TYPES.number[group.defaultType],
  };
}

export function errorReport(of: BusErrorReport): Send<'ErrorEvent'> {
  return {
    function: of.bdf,
    error: ERRORS_ON_BUS.number[of.error],
    severity: MESSAGES.number[of.severity],
    masked: of.masked,
    message: of.message === undefined ? 0 : MESSAGES.number[of.message],
    root: of.root ?? null,
    interrupt: of.interrupt,
    systemError: of.systemError,
    contained: of.contained ?? null,
    header: [...of.header],
    text: of.text,
    timeNs: u64FromNumber(of.timeNs),
  };
}

export function recoverBody(reply: Extract<Reply, { kind: 'error-recover' }>): Send<'ErrorRecoverReply'> {
  return {
    recovered: reply.recovered,
    status: VOTE.number[reply.status],
    reset: RECOVERY_RESET.number[reply.reset],
    affected: [...reply.affected],
    warning: reply.warning,
    elapsedNs: u64FromNumber(reply.elapsedNs),
  };
}

export function armedFault(of: ArmedFaultSummary): Send<'ArmedFault'> {
  const { range, error, left, point, untilNs } = of;
  return {
    armed: of.armed,
    fault: FAULTS.number[of.fault],
    function: of.bdf ?? null,
    address: range === undefined ? null : u64FromBigint(range.address),
    bytes: range === undefined ? null : u64FromBigint(range.bytes),
    error: error === undefined ? 0 : MEMORY_ERROR.number[error],
    passes: of.passes,
    acted: of.acted,
    left: left ?? null,
    point: point === undefined ? 0 : POINTS.number[point],
    delayNs: u64FromNumber(of.delayNs),
    fromNs: u64FromNumber(of.fromNs),
    untilNs: untilNs === undefined ? null : u64FromNumber(untilNs),
    inForce: of.inForce,
    hosts: of.hosts,
    text: of.text,
  };
}

function domainOrNull(domain: DomainSummary | undefined): Send<'DomainSummary'> | null {
  return domain === undefined ? null : domainSummary(domain);
}

function domainSummary(domain: DomainSummary): Send<'DomainSummary'> {
  return { domain: domain.id, type: DOMAIN_TYPES.number[domain.type], sharedAddress: domain.sharedAddress };
}

function presentOrNull(number: number): number | null {
  return number < 0 ? null : number;
}
