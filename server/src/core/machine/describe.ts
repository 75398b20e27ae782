/** What a machine says of itself. */
import { addressOfPage, join64 } from '../base/index.ts';
import { defaultType, directAmong, reservedName, type Domain } from '../iommu/index.ts';
import { sriovOf } from '../pci/index.ts';
import { iommuOf } from './domains/iommu-commands.ts';
import type { Parts } from './parts.ts';
import type {
  DomainDetail,
  DomainSummary,
  FunctionDetail,
  FunctionSummary,
  GroupDetail,
  LedgerEntry,
  RegionSummary,
  Reply,
} from './reply.ts';
import { enabledMethods } from './reset/reset-methods.ts';
import type { FunctionState, Request } from './state.ts';

export function machineSummary(m: Parts): Omit<Extract<Reply, { kind: 'machine-info' }>, 'kind'> {
  const { name, seed, behaviour, clock } = m.spec;
  return { name, seed, behaviour, clock, nowNs: m.clock.nowNs, functions: m.functionList.length, iommu: m.iommu !== undefined };
}

export function functionSummary(fn: FunctionState): FunctionSummary {
  const { config, device } = fn;
  return {
    bdf: fn.bdf,
    model: fn.spec.model,
    label: fn.spec.label,
    configBytes: config.bytes,
    vendor: fn.physical?.config.vendor ?? config.vendor,
    device: fn.physical === undefined ? config.device : (sriovOf(fn.physical.config)?.device ?? config.device),
    classCode: config.classCode,
    secondaryBus: config.isBridge ? config.secondaryBus : -1,
    group: device?.group.id ?? -1,
    atsSupported: config.atsSupported,
    blocked: device?.blocked ?? false,
    resetDepth: device?.resetDepth ?? 0,
    gate: fn.gateOpen ? 'open' : 'closed',
    inFlight: fn.entries.length,
    absent: fn.spec.model === 'remote' && fn.claimedBy === 0,
    linkDown: fn.linkDown !== 0,
    physicalFunction: fn.physical?.bdf,
  };
}

export function functionDetail(m: Parts, fn: FunctionState): FunctionDetail {
  const { device, config } = fn;
  // Field by field: objects are not spread where an explorer asks by the million.
  const summed = functionSummary(fn);
  return {
    bdf: summed.bdf,
    model: summed.model,
    label: summed.label,
    configBytes: summed.configBytes,
    vendor: summed.vendor,
    device: summed.device,
    classCode: summed.classCode,
    secondaryBus: summed.secondaryBus,
    group: summed.group,
    atsSupported: summed.atsSupported,
    blocked: summed.blocked,
    resetDepth: summed.resetDepth,
    gate: summed.gate,
    inFlight: summed.inFlight,
    absent: summed.absent,
    linkDown: summed.linkDown,
    physicalFunction: summed.physicalFunction,
    busMaster: config.busMaster,
    atsEnabled: config.atsEnabled,
    resetMethods: enabledMethods(m, fn),
    logicalDomain: summary(device?.group.domain),
    physicalDomain: summary(device?.physical),
    pasids: [...(device?.group.pasids ?? [])].map(([pasid, domain]) => ({
      pasid,
      logicalDomain: domainSummary(domain),
      physicalDomain: summary(device?.pasidPhysical.get(pasid)),
    })),
    windows: [...(device?.windows ?? [])],
    armedFaults: [...fn.armed.keys()],
    itags: m.invalidations.outstanding(fn.bdf),
    attachDeferred: device?.attachDeferred ?? false,
    directRegions: [...(fn.spec.directRegions ?? []), ...directAmong(fn.spec.reservedRegions ?? [])],
    reservedRegions: (device?.reservedRegions ?? []).map((region) => ({ ...region, type: reservedName(region.type) })),
  };
}

export function regionSummaries({ config }: FunctionState): readonly RegionSummary[] {
  return config.bars().map((bar) => ({
    region: bar.index,
    kind: bar.kind,
    prefetchable: bar.prefetchable,
    address: config.barAddress(bar),
    bytes: bar.sizeLg2 < 0 ? undefined : 1n << BigInt(bar.sizeLg2),
  }));
}

export function groupDetail(m: Parts, fn: FunctionState): GroupDetail | undefined {
  const group = fn.device?.group;
  if (group === undefined) return undefined;
  const mutex = m.operations.mutexes.get(group.id);
  return {
    group: group.id,
    members: group.members.map((device) => device.bdf),
    domain: summary(group.domain),
    defaultDomain: summary(group.defaultDomain),
    defaultType: defaultType(group.defaultDomain),
    recoveryCount: group.recoveryCount,
    owned: group.owned,
    busy: mutex !== undefined && mutex.holder !== 0,
    waiting: mutex?.queue.length ?? 0,
  };
}

export function ledgerEntries(m: Parts, fn: FunctionState): readonly LedgerEntry[] {
  return fn.entries.map((request) => ({
    request: request.id,
    operation: request.kind === 'memory' || request.kind === 'translation' ? request.operation : request.kind,
    point: request.point,
    held: request.held,
    iova: join64(request.iovaLow, request.iovaHigh),
    address: request.page < 0 ? undefined : addressOfPage(request.page) + BigInt(request.iovaLow & 0xfff),
    bytes: request.bytes,
    sinceNs: request.sinceNs,
    epoch: request.epoch,
    waitsFor: waitsFor(m, request),
  }));
}

function waitsFor(m: Parts, request: Request): string {
  if (request.held) return request.holdAlarm === 0 ? `release (held at ${request.point})` : `its time (held at ${request.point})`;
  if (request.walk !== undefined && request.walk.owner !== 0) return `an entry of its page tables, of memory owner ${request.walk.owner}`;
  if (request.point === 'sent' && request.peer !== undefined) return 'the answer of the function whose registers it reaches';
  if (request.point === 'sent') return `the answer of memory owner ${request.owner}`;
  if (request.point === 'indeterminate') return owedFor(m, request);
  return 'earlier requests of the function';
}

/** What its owner has not answered yet of a write that was aborted when it had been sent. */
function owedFor(m: Parts, request: Request): string {
  const owed = [...(m.peers.get(request.owner)?.owed.values() ?? [])];
  const answer = owed.some((one) => one.kind === 'request' && one.request === request);
  const fence = owed.some((one) => one.kind === 'fence' && one.requests.includes(request));
  if (answer && fence) return `the answers of memory owner ${request.owner} to the write and the fence`;
  return answer ? `the answer of memory owner ${request.owner} to the write` : `the fence of memory owner ${request.owner}`;
}

function domainSummary(domain: Domain): DomainSummary {
  return { id: domain.id, type: domain.type, sharedAddress: domain.sharedAddress };
}

function summary(domain: Domain | undefined): DomainSummary | undefined {
  return domain === undefined ? undefined : domainSummary(domain);
}

/** Those that hosts know by number, and who has each. */
export function domainList(m: Parts): readonly DomainDetail[] {
  return iommuOf(m)
    .domainsByNumber()
    .map((domain) => ({
      ...domainSummary(domain),
      format: domain.space.tables?.format,
      parent: domain.parent?.id,
      functions: m.functionList.flatMap(({ bdf, device }) => (device?.group.domain === domain ? [bdf] : [])),
      pasids: m.functionList.flatMap(({ bdf, device }) =>
        [...(device?.group.pasids ?? [])].flatMap(([pasid, has]) => (has === domain ? [{ bdf, pasid }] : [])),
      ),
    }));
}
