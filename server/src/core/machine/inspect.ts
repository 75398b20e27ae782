/**
 * What a machine's functions and groups are in, for the program that embeds it and looks after every step: no command, so not in the trace hash, and
 * no more than such a look needs.
 */
import type { Bdf, Pasid } from '../base/index.ts';
import type { Domain, DomainType } from '../iommu/index.ts';
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
  /** Of the context without PASID; its type too, since a domain may be gone from the tables of hosts. */
  readonly physical: InspectedDomain;
  readonly pasids: readonly InspectedPasid[];
  /** Outstanding invalidations. */
  readonly itags: number;
  readonly group: InspectedGroup;
}

export interface InspectedDomain {
  readonly id: number;
  readonly type: DomainType;
}

/** Of the group's table, and contexts that are not in it. */
export interface InspectedPasid {
  readonly pasid: Pasid;
  readonly logical: InspectedDomain | undefined;
  readonly physical: InspectedDomain | undefined;
}

export interface InspectedGroup {
  readonly id: number;
  readonly domain: InspectedDomain;
  readonly defaultDomain: InspectedDomain;
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

export function inspect(m: Parts): Inspection {
  const groups = new Map<number, InspectedGroup>();
  const functions: InspectedFunction[] = [];
  for (const fn of m.functionList) {
    const inspected = inspectFunction(m, fn, groups);
    if (inspected !== undefined) functions.push(inspected);
  }
  return { functions, nextAlarmNs: m.clock.nextNs() };
}

function inspectFunction(m: Parts, { bdf, device }: FunctionState, groups: Map<number, InspectedGroup>): InspectedFunction | undefined {
  if (device === undefined) return undefined;
  const { group, blocked, quarantined, resetDepth, attachDeferred, atsEnabled, physical, pasidPhysical } = device;
  const pasids: InspectedPasid[] = [];
  for (const [pasid, logical] of group.pasids) pasids.push({ pasid, logical: shown(logical), physical: shownIf(pasidPhysical.get(pasid)) });
  for (const [pasid, left] of pasidPhysical)
    if (!group.pasids.has(pasid)) pasids.push({ pasid, logical: undefined, physical: shown(left) });
  let inspected = groups.get(group.id);
  if (inspected === undefined) {
    const { id, domain, defaultDomain, recoveryCount, owned, members } = group;
    const busy = (m.operations.mutexes.get(id)?.holder ?? 0) !== 0;
    let inWindow = 0;
    for (const member of members) if (member.resetDepth > 0) inWindow++;
    inspected = {
      id,
      domain: shown(domain),
      defaultDomain: shown(defaultDomain),
      members: members.length,
      inWindow,
      recoveryCount,
      owned,
      busy,
    };
    groups.set(id, inspected);
  }
  const itags = m.invalidations.outstanding(bdf);
  return { bdf, blocked, quarantined, resetDepth, attachDeferred, atsEnabled, physical: shown(physical), pasids, itags, group: inspected };
}

function shownIf(domain: Domain | undefined): InspectedDomain | undefined {
  return domain === undefined ? undefined : shown(domain);
}

function shown({ id, type }: Domain): InspectedDomain {
  return { id, type };
}
