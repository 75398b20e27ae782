/** Attach, detach, PASIDs, ownership: calls that change a group under its mutex. */
import { ModelError, OK, errno, formatBdf, type Errno } from '../../base/index.ts';
import { join, mayChangeDefault, refusalText, type Domain, type Iommu, type Plan } from '../../iommu/index.ts';
import { atStart, conclude, walk, type Phase } from '../calls/call-runner.ts';
import type { CallName } from '../calls/call-steps.ts';
import { tryLock, unlock } from '../calls/mutex.ts';
import type { ChangeCommand, DefaultDomainSet, DeferredAttach, DomainAttach } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { ChangeTask, FunctionState, Origin } from '../state.ts';
import { attachedDomain, dropUnused, ioasOf } from './ioas-domains.ts';
import { deviceOf, domainOf, iommuOf } from './iommu-commands.ts';

const DONE: Plan = { error: OK, steps: [] };

const CALL = {
  'domain-attach': 'attach',
  'domain-detach': 'detach',
  'pasid-attach': 'pasid-attach',
  'pasid-detach': 'pasid-detach',
  'deferred-attach': 'deferred-attach',
  'owner-claim': 'claim',
  'owner-release': 'release',
  'default-domain-set': 'default-domain',
} as const satisfies Record<ChangeCommand['kind'], CallName>;

/** The reply waits until the old translations cannot be used any more. */
export function change(m: Parts, origin: Origin, command: ChangeCommand): void {
  const device = deviceOf(m, command.bdf);
  if ('domain' in command) {
    if (command.ioas === undefined) domainOf(m, command.domain);
    else ioasOf(m, command.ioas);
  }
  const call = m.operations.start<ChangeTask>(origin, {
    kind: 'change',
    ...atStart(CALL[command.kind], command.bdf),
    command,
    device,
    pinned: undefined,
    outgoing: [],
  });
  resumeChange(m, call);
}

/** Nothing deferred, or no IOMMU: answered at once, without the mutex. */
export function deferredAttach(m: Parts, origin: Origin, command: DeferredAttach, fn: FunctionState): void {
  if (fn.device === undefined) m.outbox.ok(origin);
  else change(m, origin, command);
}

export function resumeChange(m: Parts, call: ChangeTask): void {
  walk(m, call, CHANGE);
}

const CHANGE: readonly Phase<ChangeTask>[] = [
  { step: 'test', run: test },
  { step: 'lock', run: (m, call) => tryLock(m, call.device.group, call) },
  { step: 'check', run: check },
  { step: 'atc-completed', run: (_m, call) => call.pending === 0 },
  { step: 'unlock', run: answer },
];

/** The fast way of iommu_deferred_attach(): a function of which nothing is deferred never asks for the mutex. */
function test(m: Parts, call: ChangeTask): boolean {
  if (call.command.kind === 'deferred-attach' && !call.device.attachDeferred) {
    conclude(m, call);
    m.outbox.ok(call.origin);
  }
  return true;
}

/** What it names may have gone while it waited: then it is refused, and nothing else is changed. */
function check(m: Parts, call: ChangeTask): boolean {
  const { command, device, origin } = call;
  try {
    const plan = planOf(m, call);
    if (plan.error === OK) {
      call.todo = [...plan.steps];
      return true;
    }
    release(m, call);
    refuse(m, call, plan.error);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    release(m, call);
    m.outbox.refuse(origin, error.code, `${nameOf(command)} of ${formatBdf(device.bdf)}: ${error.message}`, error.field);
  }
  return true;
}

function planOf(m: Parts, call: ChangeTask): Plan {
  const { command, device } = call;
  const iommu = iommuOf(m);
  switch (command.kind) {
    case 'domain-attach':
      return planJoin(m, call, command);
    case 'domain-detach':
      return iommu.planDetach(device);
    case 'pasid-attach':
      return iommu.planAttachPasid(device, command.pasid, pin(call, attachedDomain(m, command)), command.replace);
    case 'pasid-detach':
      return iommu.planDetachPasid(device, command.pasid);
    case 'deferred-attach':
      return iommu.planDeferredAttach(device);
    case 'owner-claim':
      return iommu.planClaim(device);
    case 'owner-release':
      return iommu.planRelease(device);
    case 'default-domain-set':
      return planDefault(iommu, call, command);
  }
}

/** Of an I/O address space a function brings the regions that it reserves (iommufd_hw_pagetable_attach). */
function planJoin(m: Parts, call: ChangeTask, command: DomainAttach): Plan {
  const domain = pin(call, attachedDomain(m, command));
  const error = join(call.device.group, domain);
  return error === OK ? iommuOf(m).planAttach(call.device, domain) : { error, steps: [] };
}

/**
 * iommu_group_store_type(): a flush queue is brought up as it is, without a look at the rules; anything else is a domain of its own, which the members
 * move to.
 */
function planDefault(iommu: Iommu, call: ChangeTask, { type }: DefaultDomainSet): Plan {
  const { device } = call;
  const { group } = device;
  const current = group.defaultDomain;
  if (type === 'dma-fq' && current?.dma !== undefined) {
    current.dma.lazy = true;
    return DONE;
  }
  const refusal = mayChangeDefault(group);
  if (refusal !== undefined) return { error: errno(refusal), steps: [] };
  const fresh = iommu.allocDefault(group, type === 'auto' ? undefined : type);
  if (typeof fresh === 'string') return { error: errno(fresh), steps: [] };
  if (fresh === current) return DONE;
  call.outgoing = [pin(call, fresh), ...(current === undefined ? [] : [current])];
  return iommu.planDefault(device, fresh);
}

function pin(call: ChangeTask, domain: Domain): Domain {
  domain.pins++;
  call.pinned = domain;
  return domain;
}

function answer(m: Parts, call: ChangeTask): boolean {
  release(m, call);
  if (call.error === OK) m.outbox.ok(call.origin);
  else refuse(m, call, call.error);
  return true;
}

function release(m: Parts, call: ChangeTask): void {
  if (call.pinned !== undefined) call.pinned.pins--;
  call.pinned?.ioas?.joining.delete(call.device.group);
  call.pinned = undefined;
  unlock(m, call.device.group);
  conclude(m, call);
  // Whichever of the two default domains the group does not have. One that a call is still at work on stays, as a domain that a host may free.
  for (const domain of call.outgoing) iommuOf(m).freeDomain(domain.id);
  dropUnused(m);
}

function refuse(m: Parts, call: ChangeTask, error: Errno): void {
  const { command, device, origin } = call;
  m.outbox.refuse(origin, error, refusalText(error, device.group, nameOf(command)), formatBdf(device.bdf));
}

function nameOf(command: ChangeCommand): string {
  switch (command.kind) {
    case 'domain-attach':
      return command.ioas === undefined ? `attach of domain ${command.domain}` : `attach of I/O address space ${command.ioas}`;
    case 'pasid-attach':
      return `${command.replace ? 'replace' : 'attach'} of PASID ${command.pasid}`;
    case 'pasid-detach':
      return `detach of PASID ${command.pasid}`;
    case 'owner-claim':
      return 'claim of ownership';
    case 'owner-release':
      return 'release of ownership';
    case 'domain-detach':
      return 'detach';
    case 'deferred-attach':
      return 'deferred attach';
    case 'default-domain-set':
      return `default domain ${command.type}`;
  }
}
