/** Which pages of a domain functions have written (struct iommu_dirty_ops; IOMMU_HWPT_SET_DIRTY_TRACKING and IOMMU_HWPT_GET_DIRTY_BITMAP). */
import { OK, errno, type Errno } from '../base/index.ts';
import type { Domain, IommuEffect } from './group.ts';

/** What was made clean, which whoever holds a translation of must ask for again before it writes. */
export interface Cleared {
  readonly error: Errno;
  /** The range that all of it lies in; empty where there was nothing. */
  readonly iova: bigint;
  readonly bytes: bigint;
  readonly effects: readonly IommuEffect[];
}

/** A page that was written, as a whole, in addresses. */
export type OnDirty = (iova: bigint, bytes: bigint) => void;

type Invalidate = (domain: Domain, iova: bigint, bytes: bigint) => readonly IommuEffect[];

/** Everything that a 64-bit address names. */
const ALL_BYTES = 1n << 64n;
const NOTHING: Cleared = { error: OK, iova: 0n, bytes: 0n, effects: [] };

/**
 * Turned on, every page is clean and all translations of the domain go, also where it was on before (`iopt_set_dirty_tracking`). Undefined where the
 * domain was not made for it.
 */
export function setDirtyTracking(domain: Domain, on: boolean, invalidate: Invalidate): Cleared | undefined {
  const dirty = domain.space.tables?.dirty;
  if (dirty === undefined) return undefined;
  dirty.set(on);
  return on ? { error: OK, iova: 0n, bytes: ALL_BYTES, effects: invalidate(domain, 0n, ALL_BYTES) } : NOTHING;
}

/**
 * Tells of the pages in a range that were written since they were clean, each as a whole, and where `clear` makes them clean: what is outside the range
 * of a page that reaches into it is cleared too. -EINVAL for a range that cannot be, or while nothing is tracked.
 */
export function readDirty(
  domain: Domain,
  range: { readonly iova: bigint; readonly bytes: bigint; readonly clear: boolean },
  onDirty: OnDirty,
  invalidate: Invalidate,
): Cleared | undefined {
  const dirty = domain.space.tables?.dirty;
  if (dirty === undefined) return undefined;
  let first: bigint | undefined;
  let end = 0n;
  const read =
    dirty.on &&
    dirty.read(range.iova, range.bytes, range.clear, (iova, bytes) => {
      first ??= iova;
      end = iova + bytes;
      onDirty(iova, bytes);
    });
  if (!read) return { ...NOTHING, error: errno('EINVAL') };
  if (!range.clear || first === undefined) return NOTHING;
  return { error: OK, iova: first, bytes: end - first, effects: invalidate(domain, first, end - first) };
}
