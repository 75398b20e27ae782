/**
 * What a machine's functions and groups are in, for the program that embeds it and looks after every step: no command, so not in the trace hash, and
 * no more than such a look needs.
 */
import type { Bdf, Pasid } from '../base/index.ts';
import type { DirectRegion, DomainType, Group } from '../iommu/index.ts';
import type { Parts } from './parts.ts';
import type { FunctionState } from './state.ts';

export interface InspectedFunction {
  readonly bdf: Bdf;
  readonly blocked: boolean;
  /** A reset of it failed: blocked without a window. */
  readonly quarantined: boolean;
  readonly resetDepth: number;
  readonly attachDeferred: boolean;
  readonly atsEnabled: boolean;
  /** A fence has asked for its whole ATC, and its translation is not restored: no context of it honours ATS. */
  readonly atcFenced: boolean;
  /** An invalidation timed out in `strict`: no context of it honours ATS until the next attach. */
  readonly translatedRefused: boolean;
  /** It may issue requests; closed in a window of `strict`. */
  readonly gateOpen: boolean;
  /** Of the context without PASID; its type too, since a domain may be gone from the tables of hosts. */
  readonly physical: InspectedDomain;
  /** What a window puts it on. */
  readonly windowDomain: InspectedDomain;
  readonly directRegions: readonly DirectRegion[];
  readonly pasids: readonly InspectedPasid[];
  /** Outstanding invalidations. */
  readonly itags: number;
  /** Requests in its ledger that a drain awaits. */
  readonly inFlight: number;
  readonly group: InspectedGroup;
}

export interface InspectedDomain {
  readonly id: number;
  readonly type: DomainType;
  /** The second stage of a nested domain. */
  readonly parent?: InspectedDomain | undefined;
  /** A guest writes its tables. */
  readonly guestTables?: boolean;
}

/** Of the group's table, and contexts that are not in it. */
export interface InspectedPasid {
  readonly pasid: Pasid;
  readonly logical: InspectedDomain | undefined;
  readonly physical: InspectedDomain | undefined;
}

export interface InspectedGroup {
  readonly id: number;
  /** Undefined where the group never had one. */
  readonly domain: InspectedDomain | undefined;
  readonly defaultDomain: InspectedDomain | undefined;
  /** What it goes back to when nobody has it. */
  readonly restDomain: InspectedDomain | undefined;
  readonly blockingDomain: InspectedDomain;
  readonly members: number;
  readonly inWindow: number;
  readonly recoveryCount: number;
  readonly owned: boolean;
  /** A call has its mutex. */
  readonly busy: boolean;
}

/** Functions behind the IOMMU, in bus order. */
export interface Inspection {
  readonly functions: readonly InspectedFunction[];
  /** When the next alarm rings. */
  readonly nextAlarmNs: number | undefined;
}

/** Domains are handed out themselves: what is said of one here never changes. */
export function inspect(m: Parts): Inspection {
  const functions: InspectedFunction[] = [];
  for (const fn of m.functionList) {
    const inspected = inspectFunction(m, fn, functions);
    if (inspected !== undefined) functions.push(inspected);
  }
  return { functions, nextAlarmNs: m.clock.nextNs() };
}

function inspectFunction(
  m: Parts,
  { bdf, device, gateOpen, entries }: FunctionState,
  before: readonly InspectedFunction[],
): InspectedFunction | undefined {
  if (device === undefined) return undefined;
  const { group, blocked, quarantined, resetDepth, attachDeferred, physical, windowDomain, directRegions, pasidPhysical } = device;
  const { atsEnabled, atcFenced, translatedRefused } = device;
  const pasids: InspectedPasid[] = [];
  for (const [pasid, logical] of group.pasids) pasids.push({ pasid, logical, physical: pasidPhysical.get(pasid) });
  for (const [pasid, left] of pasidPhysical) if (!group.pasids.has(pasid)) pasids.push({ pasid, logical: undefined, physical: left });
  const inspected = (group.members.length > 1 ? groupAmong(before, group.id) : undefined) ?? inspectGroup(m, group);
  const itags = m.invalidations.outstanding(bdf);
  let inFlight = 0;
  for (const { kind } of entries) if (kind !== 'invalidation-completion') inFlight++;
  return {
    bdf,
    blocked,
    quarantined,
    resetDepth,
    attachDeferred,
    atsEnabled,
    atcFenced,
    translatedRefused,
    gateOpen,
    physical,
    windowDomain,
    directRegions,
    pasids,
    itags,
    inFlight,
    group: inspected,
  };
}

function groupAmong(functions: readonly InspectedFunction[], id: number): InspectedGroup | undefined {
  for (const { group } of functions) if (group.id === id) return group;
  return undefined;
}

function inspectGroup(m: Parts, group: Group): InspectedGroup {
  const { id, domain, defaultDomain, restDomain, blockingDomain, recoveryCount, owned, members } = group;
  const busy = (m.operations.mutexes.get(id)?.holder ?? 0) !== 0;
  let inWindow = 0;
  for (const member of members) if (member.resetDepth > 0) inWindow++;
  return { id, domain, defaultDomain, restDomain, blockingDomain, members: members.length, inWindow, recoveryCount, owned, busy };
}
