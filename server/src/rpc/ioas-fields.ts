/** What calls on I/O address spaces say, and what is answered to them. */
import { u64FromBigint, u64FromNumber, type Calls, type iommud } from '../../../proto/index.ts';
import { LIST_ITEMS_MAX } from '../../../proto/limits.ts';
import { ERRORS } from '../core/base/index.ts';
import type { Command, InvalidateRequest, Reply } from '../core/machine/index.ts';
import { invalid, missing } from './errors.ts';
import { needBigint, needUint32 } from './fields.ts';

type Attach = Pick<Extract<Command, { kind: 'domain-attach' }>, 'domain' | 'ioas'>;
type Ranges = Extract<Command, { kind: 'ioas-allow' }>['ranges'];

/** A domain or an I/O address space: exactly one of the two. */
export function attachedTo(b: { readonly domain: number | null; readonly ioas: number | null }): Attach {
  if (b.ioas === null) return { domain: needUint32(b.domain, 'domain') };
  if (b.domain !== null) throw invalid('ioas', 'and domain exclude each other');
  return { domain: 0, ioas: b.ioas };
}

/** With `iova`, `bytes` is needed. */
export function unmapRange(b: Calls['ioasUnmap']['decoded']): { readonly iova: bigint | undefined; readonly bytes: bigint | undefined } {
  if (b.iova !== null) return { iova: needBigint(b.iova, 'iova'), bytes: needBigint(b.bytes, 'bytes') };
  if (b.bytes !== null) throw missing('iova');
  return { iova: undefined, bytes: undefined };
}

export function rangesOf(b: Calls['ioasAllow']['decoded']): Ranges {
  return checkedList(b.ranges, 'ranges').map((range) => ({
    first: needBigint(range.first, 'first'),
    last: needBigint(range.last, 'last'),
  }));
}

export function requestsOf(b: Calls['domainInvalidate']['decoded']): readonly InvalidateRequest[] {
  return checkedList(b.requests, 'requests').map(({ iova, pages }) => ({
    iova: needBigint(iova, 'iova'),
    pages: needBigint(pages, 'pages'),
  }));
}

function checkedList<T>(list: readonly T[], field: string): readonly T[] {
  if (list.length > LIST_ITEMS_MAX) throw invalid(field, `has ${list.length} elements; at most ${LIST_ITEMS_MAX} are allowed`);
  return list;
}

export function rangesBody(reply: Extract<Reply, { kind: 'ioas-ranges' }>): iommud.v1.IoasRangesReply.$Properties {
  return {
    ranges: reply.ranges.map(rangeBody),
    count: reply.count,
    alignment: u64FromBigint(reply.alignment),
    error: reply.count > reply.ranges.length ? ERRORS.EMSGSIZE.wire : 0,
  };
}

export function unmappedBody(reply: Extract<Reply, { kind: 'unmapped-ranges' }>): iommud.v1.UnmappedRangesReply.$Properties {
  return { ranges: reply.ranges.map(rangeBody), nextIova: reply.next === undefined ? null : u64FromBigint(reply.next) };
}

function rangeBody({ first, last }: Ranges[number]): iommud.v1.IovaRange.$Properties {
  return { first: u64FromBigint(first), last: u64FromBigint(last) };
}

export function invalidateBody(reply: Extract<Reply, { kind: 'domain-invalidate' }>): iommud.v1.DomainInvalidateReply.$Properties {
  return {
    processed: reply.processed,
    error: reply.error === undefined ? 0 : ERRORS[reply.error].wire,
    message: reply.message,
    timedOut: reply.timedOut,
    elapsedNs: u64FromNumber(reply.elapsedNs),
  };
}
