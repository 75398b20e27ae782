/** What a machine says of itself, its functions and their groups. */
import type { iommud } from '../../proto/index.ts';
import { bdfText } from './bdf.ts';
import { DEFAULT_DOMAIN_TYPE, DMA_OPERATION, DOMAIN_TYPE, FAULT_KIND, REQUEST_POINT, RESET_METHOD } from './names.ts';
import type { DefaultDomainType, DmaOperation, DomainType, FaultKind, RequestPoint, ResetMethod } from './names.ts';
import { bigintOf, numberOf } from './numbers.ts';
import { shown } from './shown.ts';

export interface MachineInfo {
  readonly name: string;
  /** All chance in the machine comes from it. */
  readonly seed: number;
  /** `strict` or `linux-7.1`. */
  readonly behaviour: string;
  /** `auto`, `manual` or `real`. */
  readonly clock: string;
  /** The machine's clock. */
  readonly nowNs: number;
  /** How many functions it has. */
  readonly functions: number;
  readonly iommu: boolean;
}

export interface DomainSummary {
  readonly domain: number;
  readonly type: DomainType;
  readonly sharedAddress: boolean;
}

export interface PasidSummary {
  readonly pasid: number;
  readonly logicalDomain: DomainSummary | undefined;
  /** Undefined: none is set in hardware, as in a reset window. */
  readonly physicalDomain: DomainSummary | undefined;
}

export interface FunctionSummary {
  /** `00:02.0`. */
  readonly function: string;
  /** `replay`, `dma-probe`, `remote` or `bridge`. */
  readonly model: string;
  readonly label: string;
  /** Size of configuration space: 64, 256 or 4096. */
  readonly configBytes: number;
  readonly vendor: number;
  readonly device: number;
  /** 24 bits. */
  readonly classCode: number;
  /** Of a bridge. */
  readonly secondaryBus: number | undefined;
  /** IOMMU group. Undefined: the machine has no IOMMU. */
  readonly group: number | undefined;
  readonly atsSupported: boolean;
  /** A reset window is open: the IOMMU refuses all its requests. */
  readonly blocked: boolean;
  /** Nested windows. */
  readonly resetDepth: number;
  /** False while a drain or a window keeps requests from leaving. */
  readonly gateOpen: boolean;
  /** Entries of the in-flight ledger. */
  readonly inFlight: number;
  /** A remote function that nobody has claimed. */
  readonly absent: boolean;
  /** The link above it is down: it answers nothing, and is being taken out. */
  readonly linkDown: boolean;
  /** Of a virtual function: the physical function that it belongs to. */
  readonly physicalFunction: string | undefined;
}

/** Memory that firmware uses through a function (IOMMU_RESV_DIRECT). */
export interface DirectRegion {
  readonly address: bigint;
  readonly bytes: bigint;
  /** The function can do without it once its driver runs. */
  readonly relaxable: boolean;
}

/** IOVAs of a function that are not to be given away. */
export interface ReservedRegion {
  readonly address: bigint;
  readonly bytes: bigint;
  /** As in sysfs, where both kinds of MSI are `msi`. */
  readonly type: string;
}

export interface FunctionInfo extends FunctionSummary {
  readonly busMaster: boolean;
  readonly atsEnabled: boolean;
  /** In the order in which Linux tries them. */
  readonly resetMethods: readonly ResetMethod[];
  readonly logicalDomain: DomainSummary | undefined;
  /** What the hardware uses. */
  readonly physicalDomain: DomainSummary | undefined;
  readonly pasids: readonly PasidSummary[];
  /** Tokens of the open windows, the first opened first. */
  readonly windows: readonly string[];
  readonly armedFaults: readonly FaultKind[];
  /** Outstanding invalidations. */
  readonly itags: number;
  /** It keeps the context that firmware left until {@link FunctionHandle.deferredAttach} or any other move. */
  readonly attachDeferred: boolean;
  /** Memory that firmware uses through the function, mapped 1:1 in its default domain. */
  readonly directRegions: readonly DirectRegion[];
  /** As sysfs `reserved_regions` has them: merged, by start. */
  readonly reservedRegions: readonly ReservedRegion[];
}

/** A base address register or the expansion ROM, as software has programmed it. */
export interface RegionInfo {
  /** 0 to 5 BAR, 6 the ROM. */
  readonly region: number;
  readonly kind: 'io' | 'memory32' | 'memory64' | 'rom';
  readonly prefetchable: boolean;
  readonly address: bigint;
  /** Undefined where nothing tells it. */
  readonly bytes: bigint | undefined;
}

export interface GroupInfo {
  readonly group: number;
  readonly members: readonly string[];
  readonly domain: DomainSummary | undefined;
  readonly defaultDomain: DomainSummary | undefined;
  /** As sysfs `type` of a group has it, in lower case; undefined where there is no default domain. */
  readonly defaultType: DefaultDomainType | undefined;
  /** Members in a reset window (`recovery_cnt`). */
  readonly recoveryCount: number;
  readonly owned: boolean;
  /** A call holds the group mutex. */
  readonly busy: boolean;
  /** Calls that wait for it. */
  readonly waiting: number;
}

/** A request in flight. */
export interface LedgerEntry {
  readonly request: number;
  readonly operation: DmaOperation;
  readonly point: RequestPoint;
  readonly held: boolean;
  readonly iova: bigint;
  /** Physical. Undefined before translation. */
  readonly address: bigint | undefined;
  readonly bytes: number;
  /** When it was issued, on the machine's clock. */
  readonly sinceNs: number;
  readonly epoch: number;
  /** What it waits for, in words. */
  readonly waitsFor: string;
}

export function machineInfo(body: iommud.v1.MachineInfoReply): MachineInfo {
  const { name, seed, behaviour, clock, functions, iommu } = body;
  return { name, seed, behaviour, clock, nowNs: numberOf(body.nowNs), functions, iommu };
}

export function functionSummary(body: iommud.v1.FunctionSummary): FunctionSummary {
  return shown({
    function: bdfText(body.function),
    model: body.model,
    label: body.label,
    configBytes: body.configBytes,
    vendor: body.vendor,
    device: body.device,
    classCode: body.classCode,
    secondaryBus: body.secondaryBus ?? undefined,
    group: body.group ?? undefined,
    atsSupported: body.atsSupported,
    blocked: body.blocked,
    resetDepth: body.resetDepth,
    gateOpen: body.gateOpen,
    inFlight: body.inFlight,
    absent: body.absent,
    linkDown: body.linkDown,
    physicalFunction: typeof body.physicalFunction === 'number' ? bdfText(body.physicalFunction) : undefined,
  });
}

export function functionInfo(body: iommud.v1.FunctionInfoReply): FunctionInfo {
  return shown({
    ...functionSummary(body.summary),
    busMaster: body.busMaster,
    atsEnabled: body.atsEnabled,
    resetMethods: body.resetMethods.map((method) => RESET_METHOD.nameOf(method)),
    logicalDomain: domainSummary(body.logicalDomain),
    physicalDomain: domainSummary(body.physicalDomain),
    pasids: body.pasids.map((one) => ({
      pasid: one.pasid ?? 0,
      logicalDomain: domainSummary(one.logicalDomain),
      physicalDomain: domainSummary(one.physicalDomain),
    })),
    windows: body.windows,
    armedFaults: body.armedFaults.map((fault) => FAULT_KIND.nameOf(fault)),
    itags: body.itags,
    attachDeferred: body.attachDeferred,
    directRegions: body.directRegions.map((region) => ({
      address: bigintOf(region.address),
      bytes: bigintOf(region.bytes),
      relaxable: region.relaxable,
    })),
    reservedRegions: body.reservedRegions.map((region) => ({
      address: bigintOf(region.address),
      bytes: bigintOf(region.bytes),
      type: region.type,
    })),
  });
}

export function regionInfo(body: iommud.v1.RegionInfo.$Properties): RegionInfo {
  return shown({
    region: body.region ?? 0,
    kind: (body.kind ?? 'memory32') as RegionInfo['kind'],
    prefetchable: body.prefetchable ?? false,
    address: body.address ? bigintOf(body.address) : 0n,
    bytes: body.bytes ? bigintOf(body.bytes) : undefined,
  });
}

export function groupInfo(body: iommud.v1.GroupInfoReply): GroupInfo {
  return shown({
    group: body.group,
    members: body.members.map(bdfText),
    domain: domainSummary(body.domain),
    defaultDomain: domainSummary(body.defaultDomain),
    defaultType: body.defaultType === 0 ? undefined : DEFAULT_DOMAIN_TYPE.nameOf(body.defaultType),
    recoveryCount: body.recoveryCount,
    owned: body.owned,
    busy: body.busy,
    waiting: body.waiting,
  });
}

export function ledgerEntry(body: iommud.v1.LedgerEntry): LedgerEntry {
  return shown({
    request: body.request,
    operation: DMA_OPERATION.nameOf(body.operation),
    point: REQUEST_POINT.nameOf(body.point),
    held: body.held,
    iova: bigintOf(body.iova),
    address: body.address ? bigintOf(body.address) : undefined,
    bytes: body.bytes,
    sinceNs: numberOf(body.sinceNs),
    epoch: body.epoch,
    waitsFor: body.waitsFor,
  });
}

/** A message that is absent is null, whatever the generated type says. */
function domainSummary(body: iommud.v1.DomainSummary.$Properties | null | undefined): DomainSummary | undefined {
  if (!body) return undefined;
  return { domain: body.domain ?? 0, type: DOMAIN_TYPE.nameOf(body.type ?? 0), sharedAddress: body.sharedAddress ?? false };
}
