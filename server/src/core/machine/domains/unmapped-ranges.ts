import { errno, hex } from '../../base/index.ts';
import { tablesOf, type IovaRange } from '../../iommu/index.ts';
import type { UnmappedRanges } from '../command.ts';
import type { Parts } from '../parts.ts';
import type { Origin } from '../state.ts';
import { targetOf } from './iommu-commands.ts';

/** How many ranges one reply tells: 20 KiB of it. */
export const UNMAPPED_RANGES_MAX = 1024;

/** Which parts of a range of a domain nothing is mapped in. */
export function unmappedRanges(m: Parts, origin: Origin, { target, iova, bytes }: UnmappedRanges): void {
  const domain = targetOf(m, target);
  const ranges: IovaRange[] = [];
  let next: bigint | undefined;
  const told = tablesOf(domain).holes(iova, bytes, (first, size) => {
    if (ranges.length < UNMAPPED_RANGES_MAX) ranges.push({ first, last: first + size - 1n });
    else next = first;
    return next === undefined;
  });
  const text = `unmapped ranges of ${hex(bytes)} bytes at IOVA ${hex(iova)} in domain ${domain.id}`;
  if (told === undefined) m.outbox.refuse(origin, errno('EOPNOTSUPP'), `${text}: a guest writes its tables`, 'domain');
  else if (told) m.outbox.reply(origin, { kind: 'unmapped-ranges', ranges, next });
  else {
    const { format } = tablesOf(domain);
    m.outbox.refuse(origin, errno('EINVAL'), `${text}: both fit ${format} and are multiples of its smallest page, and not 0 bytes`, 'iova');
  }
}
