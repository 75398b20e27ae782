/** Domains, attachments, mappings: commands that the IOMMU core carries out, and that wait for what it asks of the hardware. */
import { ModelError, OK, PAGE_BYTES, errno, formatBdf, hex, pageOf, physicalAddress, type Bdf, type Errno } from '../base/index.ts';
import { refusalText, tablesOf, type Change, type Domain, type GroupDevice, type Iommu } from '../iommu/index.ts';
import type {
  Command,
  DeferredAttach,
  DomainAlloc,
  DomainAttach,
  DomainFree,
  DomainTarget,
  IovaToPhys,
  MapPages,
  PasidAttach,
  PasidDetach,
  UnmapPages,
} from './command.ts';
import { awaitTranslated } from './dma-drain.ts';
import { applyEffects, awaitInvalidationsOf } from './invalidation.ts';
import { mutexFree, releaseMutex, takeMutex } from './mutex.ts';
import type { Parts } from './parts.ts';
import type { ChangeTask, FunctionState, Origin, UnmapTask } from './state.ts';

const PAGE = BigInt(PAGE_BYTES);

function iommuOf(m: Parts): Iommu {
  if (m.iommu === undefined) throw new ModelError('EOPNOTSUPP', `machine "${m.spec.name}" has no IOMMU`);
  return m.iommu;
}

/** The function's place in the IOMMU core. ENODEV for an unknown function, EOPNOTSUPP on a machine without an IOMMU. */
export function deviceOf(m: Parts, bdf: Bdf): GroupDevice {
  const device = iommuOf(m).device(bdf);
  if (device === undefined) throw new ModelError('ENODEV', `no function at ${formatBdf(bdf)} behind the IOMMU`, 'function');
  return device;
}

function domainOf(m: Parts, id: number): Domain {
  const domain = iommuOf(m).domain(id);
  if (domain === undefined) throw new ModelError('ENOENT', `no domain ${id}`, 'domain');
  return domain;
}

function targetOf(m: Parts, target: DomainTarget): Domain {
  if ('domain' in target) return domainOf(m, target.domain);
  const device = deviceOf(m, target.bdf);
  const domain = iommuOf(m).logicalDomain(device, target.pasid);
  if (domain === undefined) {
    throw new ModelError('ENOENT', `${formatBdf(target.bdf)} has no domain attached for PASID ${target.pasid}`, 'pasid');
  }
  return domain;
}

export function domainAlloc(m: Parts, origin: Origin, command: DomainAlloc): void {
  const { type, sharedAddress, format, root } = command;
  if (type !== 'paging' && (format ?? root) !== undefined) {
    throw new ModelError('EINVAL', `a domain of type ${type} has no page tables`, format === undefined ? 'root' : 'format');
  }
  const domain = iommuOf(m).allocDomain(type, sharedAddress, { format, root });
  if (domain === undefined) m.outbox.refuse(origin, 'ENOMEM', 'this machine has as many domains as it may have; free one');
  else m.outbox.reply(origin, { kind: 'domain-alloc', domain: domain.id });
}

export function domainFree(m: Parts, origin: Origin, command: DomainFree): void {
  const error = iommuOf(m).freeDomain(command.domain);
  if (error === OK) m.outbox.ok(origin);
  else m.outbox.refuse(origin, error, `domain ${command.domain} ${error === errno('ENOENT') ? 'does not exist' : 'is attached'}`, 'domain');
}

export function domainAttach(m: Parts, origin: Origin, command: DomainAttach): void {
  const domain = domainOf(m, command.domain);
  change(m, origin, command, command.bdf, `attach of domain ${domain.id}`, (iommu, device) => iommu.attach(device, domain));
}

export function pasidAttach(m: Parts, origin: Origin, command: PasidAttach): void {
  const domain = domainOf(m, command.domain);
  const doing = `${command.replace ? 'replace' : 'attach'} of PASID ${command.pasid}`;
  change(m, origin, command, command.bdf, doing, (iommu, device) => iommu.attachPasid(device, command.pasid, domain, command.replace));
}

export function pasidDetach(m: Parts, origin: Origin, command: PasidDetach): void {
  const { pasid } = command;
  change(m, origin, command, command.bdf, `detach of PASID ${pasid}`, (iommu, device) => iommu.detachPasid(device, pasid));
}

/** Nothing deferred, or no IOMMU: answered at once, without the mutex. */
export function deferredAttach(m: Parts, origin: Origin, command: DeferredAttach, fn: FunctionState): void {
  if (fn.device?.attachDeferred === true) {
    change(m, origin, command, command.bdf, 'deferred attach', (iommu, device) => iommu.deferredAttach(device));
  } else {
    m.outbox.ok(origin);
  }
}

/** A change of the group under its mutex; the reply waits until the old translations cannot be used any more. */
export function change(
  m: Parts,
  origin: Origin,
  command: Command,
  bdf: Bdf,
  doing: string,
  act: (iommu: Iommu, device: GroupDevice) => Change,
): void {
  const device = deviceOf(m, bdf);
  const { group } = device;
  if (!mutexFree(m, group, origin, command)) return;
  const { error, effects } = act(iommuOf(m), device);
  const task = m.operations.start<ChangeTask>(origin, { kind: 'change', group });
  applyEffects(m, task, effects);
  if (error !== OK) {
    m.operations.end(task);
    m.outbox.refuse(origin, error, refusalText(error, group, doing), formatBdf(bdf));
  } else if (task.pending === 0) {
    m.operations.end(task);
    m.outbox.ok(origin);
  } else {
    takeMutex(m.operations, group, task);
  }
}

export function resumeChange(m: Parts, task: ChangeTask): void {
  releaseMutex(m.operations, task.group);
  m.operations.end(task);
  m.outbox.ok(task.origin);
}

export function map(m: Parts, origin: Origin, command: MapPages): void {
  const domain = targetOf(m, command.target);
  const address = physicalAddress(command.address);
  const error = tablesOf(domain).map(command.iova, address, command.bytes, command.access);
  if (error !== OK) {
    m.outbox.refuse(origin, error, mapRefusal(command, domain, error), 'iova');
    return;
  }
  m.trace.emit('mapped', domain.id, pageOf(command.iova), pageOf(address), pageOf(command.bytes));
  m.outbox.ok(origin);
}

function mapRefusal(command: MapPages, domain: Domain, error: Errno): string {
  const range = `${hex(command.bytes)} bytes at IOVA ${hex(command.iova)} to ${hex(command.address)} in domain ${domain.id}`;
  if (error === errno('EOPNOTSUPP')) return `map of ${range}: a guest writes its tables`;
  const { format } = tablesOf(domain);
  return `map of ${range}: addresses and size fit ${format} and are multiples of its smallest page; readable or writable, and not mapped yet`;
}

/**
 * Replies when its pages may be reused: every request translated with the old entries was performed, and every ATC invalidation
 * completed or timed out (design §6).
 */
export function unmap(m: Parts, origin: Origin, command: UnmapPages): void {
  const domain = targetOf(m, command.target);
  if ((command.iova | command.bytes) % PAGE !== 0n || command.bytes === 0n) {
    throw new ModelError(
      'EINVAL',
      `unmap of ${hex(command.bytes)} bytes at IOVA ${hex(command.iova)}: both are multiples of 4 KiB, and not 0 bytes`,
      'iova',
    );
  }
  const { bytes, effects } = iommuOf(m).unmap(domain, command.iova, command.bytes);
  const task = m.operations.start<UnmapTask>(origin, { kind: 'unmap', domain: domain.id, iova: command.iova, bytes });
  const firstPage = pageOf(command.iova);
  for (const fn of m.functionList) awaitTranslated(fn, domain.space.id, firstPage, pageOf(bytes), task);
  awaitInvalidationsOf(m, domain.space.id, firstPage, pageOf(bytes), task);
  applyEffects(m, task, effects);
  if (task.pending === 0) resumeUnmap(m, task);
}

export function resumeUnmap(m: Parts, task: UnmapTask): void {
  m.operations.end(task);
  m.trace.emit('unmapped', task.domain, pageOf(task.iova), pageOf(task.bytes), task.timedOut);
  m.outbox.reply(task.origin, { kind: 'unmap', bytes: task.bytes, timedOut: task.timedOut, elapsedNs: m.outbox.elapsed(task.origin) });
}

/** iommu_iova_to_phys(): what the tables say, whatever is attached. */
export function iovaToPhys(m: Parts, origin: Origin, command: IovaToPhys): void {
  const domain = targetOf(m, command.target);
  if (domain.type === 'identity') {
    m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: true, address: command.iova });
    return;
  }
  const found = domain.space.tables?.lookup(command.iova);
  m.outbox.reply(origin, { kind: 'iova-to-phys', mapped: found !== undefined, address: found?.address ?? 0n });
}
