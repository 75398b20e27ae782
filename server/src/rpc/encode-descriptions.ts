/** What a machine says of functions, groups and domains, to bodies of the wire. */
import { u64FromBigint } from '../../../proto/index.ts';
import type { DomainSummary, FunctionDetail, FunctionSummary, GroupDetail, RegionSummary } from '../core/machine/index.ts';
import { DEFAULT_DOMAIN_TYPES, DOMAIN_TYPES, FAULTS, METHODS } from './enums.ts';
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

function domainOrNull(domain: DomainSummary | undefined): Send<'DomainSummary'> | null {
  return domain === undefined ? null : domainSummary(domain);
}

function domainSummary(domain: DomainSummary): Send<'DomainSummary'> {
  return { domain: domain.id, type: DOMAIN_TYPES.number[domain.type], sharedAddress: domain.sharedAddress };
}

function presentOrNull(number: number): number | null {
  return number < 0 ? null : number;
}
