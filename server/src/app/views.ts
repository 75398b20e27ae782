/** Replies of a machine as REST bodies: addresses as text, and null where there is nothing. */
import { ACCESS, formatBdf, hex, hexDigits, NO_PASID } from '../core/base/index.ts';
import type {
  ArmedFaultSummary,
  DomainSummary,
  FaultRecord,
  FunctionDetail,
  FunctionSummary,
  WindowReport,
} from '../core/machine/index.ts';
import type * as body from './schemas.ts';

export function functionView(of: FunctionSummary): body.FunctionSummary {
  return {
    function: formatBdf(of.bdf),
    model: of.model,
    label: of.label,
    vendor: `0x${hexDigits(of.vendor, 4)}`,
    device: `0x${hexDigits(of.device, 4)}`,
    classCode: `0x${hexDigits(of.classCode, 6)}`,
    configBytes: of.configBytes,
    secondaryBus: of.secondaryBus < 0 ? null : of.secondaryBus,
    group: of.group < 0 ? null : of.group,
    atsSupported: of.atsSupported,
    blocked: of.blocked,
    resetDepth: of.resetDepth,
    gate: of.gate,
    inFlight: of.inFlight,
    absent: of.absent,
    linkDown: of.linkDown,
    physicalFunction: of.physicalFunction === undefined ? null : formatBdf(of.physicalFunction),
  };
}

export function functionDetailView(of: FunctionDetail): body.FunctionDetail {
  return {
    ...functionView(of),
    busMaster: of.busMaster,
    atsEnabled: of.atsEnabled,
    resetMethods: [...of.resetMethods],
    logicalDomain: domainView(of.logicalDomain),
    physicalDomain: domainView(of.physicalDomain),
    pasids: of.pasids.map((each) => ({
      pasid: each.pasid,
      logicalDomain: { ...each.logicalDomain },
      physicalDomain: domainView(each.physicalDomain),
    })),
    windows: [...of.windows],
    armedFaults: [...of.armedFaults],
    itags: of.itags,
    attachDeferred: of.attachDeferred,
    directRegions: of.directRegions.map(({ address, bytes, relaxable }) => ({ address: hex(address), bytes: Number(bytes), relaxable })),
    reservedRegions: of.reservedRegions.map(({ address, bytes, type }) => ({ address: hex(address), bytes: Number(bytes), type })),
  };
}

export function domainView(of: DomainSummary | undefined) {
  return of === undefined ? null : { id: of.id, type: of.type, sharedAddress: of.sharedAddress };
}

export function faultView(of: FaultRecord): body.FaultList['faults'][number] {
  return {
    number: of.number,
    timeNs: of.timeNs,
    function: formatBdf(of.bdf),
    pasid: of.pasid === NO_PASID ? null : of.pasid,
    iova: `0x${of.iova.toString(16)}`,
    access: `${(of.access & ACCESS.read) !== 0 ? 'r' : ''}${(of.access & ACCESS.write) !== 0 ? 'w' : ''}${(of.access & ACCESS.execute) !== 0 ? 'x' : ''}`,
    cause: of.cause,
    stage: of.stage,
    privileged: of.privileged,
    execute: of.execute,
    text: of.text,
  };
}

export function armedFaultView(of: ArmedFaultSummary): body.ArmedFaultList['faults'][number] {
  return {
    armed: of.armed,
    fault: of.fault,
    function: of.bdf === undefined ? null : formatBdf(of.bdf),
    address: of.range === undefined ? null : hex(of.range.address),
    bytes: of.range === undefined ? null : Number(of.range.bytes),
    error: of.error ?? null,
    passes: of.passes,
    acted: of.acted,
    left: of.left ?? null,
    inForce: of.inForce,
    hosts: of.hosts,
    text: of.text,
  };
}

export function windowView(of: WindowReport & { readonly elapsedNs: number }): body.PrepareReport {
  return {
    skipped: of.skipped,
    depth: of.depth,
    drained: of.drained,
    aborted: of.aborted,
    indeterminate: of.indeterminate,
    indeterminateRanges: of.indeterminateRanges.map(({ address, bytes }) => ({ address: `0x${address.toString(16)}`, bytes })),
    completed: of.completed,
    timedOut: of.timedOut,
    elapsedNs: of.elapsedNs,
  };
}
