/** Until nothing uses what a range of a domain translated to any more. Of a domain that is nested on it, all counts. */
import { pageOf } from '../../base/index.ts';
import type { Domain, IommuEffect } from '../../iommu/index.ts';
import { applyEffects, awaitInvalidationsOf } from '../ats/invalidation.ts';
import { awaitTranslated } from '../dma/dma-drain.ts';
import type { Parts } from '../parts.ts';
import type { Operation } from '../state.ts';
import { awaitUpdates } from './table-updates.ts';

/** `operation` awaits requests in flight that were translated by the range, and flags on their way into page tables. */
export function awaitInFlight(m: Parts, operation: Operation, domain: Domain, iova: bigint, bytes: bigint): void {
  for (const fn of m.functionList) {
    awaitTranslated(fn, domain.space.id, pageOf(iova), pageOf(bytes), operation);
    for (const { space } of domain.nested) awaitTranslated(fn, space.id, 0, Infinity, operation);
    awaitUpdates(m, fn, operation);
  }
}

/** `operation` awaits every Invalidate Request for the range that is on its way. */
export function awaitSent(m: Parts, operation: Operation, domain: Domain, iova: bigint, bytes: bigint): void {
  awaitInvalidationsOf(m, domain.space.id, pageOf(iova), pageOf(bytes), operation);
  for (const { space } of domain.nested) awaitInvalidationsOf(m, space.id, 0, Infinity, operation);
}

/** Both, and those in `effects`, which are sent now. */
export function awaitMappings(
  m: Parts,
  operation: Operation,
  domain: Domain,
  range: { readonly iova: bigint; readonly bytes: bigint },
  effects: readonly IommuEffect[],
): void {
  awaitInFlight(m, operation, domain, range.iova, range.bytes);
  awaitSent(m, operation, domain, range.iova, range.bytes);
  applyEffects(m, operation, effects);
}
