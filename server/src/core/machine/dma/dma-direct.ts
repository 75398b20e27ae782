/** Functions whose DMA addresses are physical ones: no IOMMU, or an identity domain (kernel/dma/direct.c). */
import { NO_PASID, formatBdf, type Bdf } from '../../base/index.ts';
import type { DomainTarget } from '../command.ts';
import type { Parts } from '../parts.ts';

/** Whether a driver's DMA addresses are physical ones (dma_go_direct): the function has no IOMMU, or its default domain is identity. */
export function isDirect(m: Parts, bdf: Bdf): boolean {
  const fn = m.functions.get(bdf);
  return fn !== undefined && (fn.device === undefined || fn.device.group.defaultDomain?.type === 'identity');
}

/** The same of a target: a function as such, and its domain is the default. */
export function isDirectTarget(m: Parts, target: DomainTarget): boolean {
  if ('domain' in target || target.pasid !== NO_PASID || !isDirect(m, target.bdf)) return false;
  const group = m.functions.get(target.bdf)?.device?.group;
  return group === undefined || group.domain === group.defaultDomain;
}

/** Once for each function. */
export function warnDirect(m: Parts, bdf: Bdf): void {
  const fn = m.functions.get(bdf);
  if (fn === undefined || fn.warnedDirect) return;
  fn.warnedDirect = true;
  const why = fn.device === undefined ? 'has no IOMMU' : 'has an identity domain';
  m.outbox.log('warn', bdf, `${formatBdf(bdf)} ${why}: its DMA addresses are physical, and nothing keeps it from other memory`);
}
