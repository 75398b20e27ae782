/** A trace record as a line that a person or a script can read: the four integers get their names back. */
import { bdfFromNumber, formatBdf, type TraceKind, type TraceRecord } from '../core/base/index.ts';

/** What `a`, `b`, `c` and `d` of each kind are. `function` is a packed function address and is written as text. */
const FIELDS: Readonly<Record<TraceKind, readonly string[]>> = {
  'config-write': ['function', 'offset', 'value', 'bytes'],
  'dma-issued': ['function', 'request', 'page', 'bytes'],
  'dma-held': ['function', 'request', 'point', 'at'],
  'dma-released': ['function', 'request', 'point'],
  'dma-translated': ['function', 'request', 'physicalPage'],
  'dma-sent': ['function', 'request', 'owner', 'epoch'],
  'dma-performed': ['function', 'request', 'physicalPage', 'bytes'],
  'dma-completed': ['function', 'request', 'outcome', 'bytes'],
  'dma-aborted': ['function', 'request', 'point', 'indeterminate'],
  'late-answer': ['function', 'request', 'entryEpoch', 'currentEpoch'],
  fault: ['function', 'cause', 'page', 'access'],
  'stale-atc': ['function', 'request', 'physicalPage', 'performed'],
  'ats-granted': ['function', 'page', 'physicalPage', 'access'],
  'ats-dropped': ['function', 'page', 'pages'],
  'invalidation-sent': ['function', 'itag', 'page', 'pages'],
  'invalidation-ignored': ['function', 'itag'],
  'invalidation-answered': ['function', 'itag'],
  'invalidation-completed': ['function', 'itag'],
  'invalidation-timeout': ['function', 'itag'],
  'invalidation-late': ['function', 'itag'],
  mapped: ['domain', 'page', 'physicalPage', 'pages'],
  unmapped: ['domain', 'page', 'pages', 'timedOut'],
  'iotlb-invalidated': ['domain', 'page', 'pages'],
  'context-set': ['function', 'pasid', 'domain', 'blocked'],
  'ats-enable': ['function', 'on'],
  gate: ['function', 'open'],
  prepare: ['function', 'phase', 'depth', 'count'],
  done: ['function', 'depth', 'domain', 'error'],
  drained: ['function', 'drained', 'aborted', 'indeterminate'],
  'reset-step': ['function', 'step', 'method'],
  'function-reset': ['function', 'method'],
  'function-ready': ['function'],
  interrupt: ['function', 'vector', 'data'],
  'interrupt-pending': ['function', 'vector'],
  'interrupt-dropped': ['function', 'vector'],
  intx: ['function', 'asserted', 'device', 'pin'],
  warning: ['function', 'warning'],
  link: ['function', 'up'],
  'page-request': ['function', 'group', 'page', 'wants'],
  'page-request-dropped': ['function', 'group', 'page', 'why'],
  'stop-marker': ['function', 'pasid'],
  'page-fault': ['function', 'fault', 'group', 'requests'],
  'page-response': ['function', 'group', 'answer', 'outstanding'],
  'bus-error': ['function', 'error', 'severity', 'sent'],
  'page-response-late': ['function', 'group', 'answer'],
  'bus-reset': ['function', 'on'],
};

/** The integers of a record by their names, of its function too. */
export function traceFields({ kind, a, b, c, d }: TraceRecord): Record<string, string | number> {
  const values = [a, b, c, d];
  const named: Record<string, string | number> = {};
  FIELDS[kind].forEach((field, index) => {
    const value = values[index] ?? 0;
    named[field] = field === 'function' ? formatBdf(bdfFromNumber(value)) : value;
  });
  return named;
}

/** One JSON object, without a line end: time and kind first, then the fields of the kind. */
export function traceLine(record: TraceRecord): string {
  return JSON.stringify({ timeNs: record.timeNs, kind: record.kind, ...traceFields(record) });
}
