export { ERRORS, OK, errno, errorName, type Errno, type ErrorName } from './errno.ts';
export { ModelError, assert } from './model-error.ts';
export {
  NO_PASID,
  PAGE_BYTES,
  PAGE_LG2,
  PHYSICAL_BITS,
  addressOfPage,
  alignedDown,
  bdf,
  bdfFromNumber,
  busOf,
  deviceOf,
  formatBdf,
  functionOf,
  hex,
  hexDigits,
  high32,
  join64,
  low32,
  pageHigh,
  pageLow,
  pageNumber,
  pageOf,
  parseBdf,
  pasid,
  physicalAddress,
  segmentOf,
  type Bdf,
  type Pasid,
  type PhysicalAddress,
} from './address.ts';
export {
  ACCESS,
  AT,
  DMA_OPERATIONS,
  HOLD_POINTS,
  INTERRUPT_PAGES,
  ITAGS,
  OUTCOMES,
  PAGE_ANSWERS,
  PAGE_GROUPS,
  REGION,
  RESET_METHODS,
  type AddressType,
  type DmaOperation,
  type HoldPoint,
  type Outcome,
  type PageAnswer,
  type PageResponseCode,
  type ResetMethod,
} from './bus.ts';
export { Clock, TIME_NS_MAX, type Alarm, type AlarmOwner } from './clock.ts';
export { type Graph, type GraphBuffer, type GraphShape } from './graph.ts';
export { readGraph } from './graph-reader.ts';
export { writeGraph } from './graph-writer.ts';
export { PageRanges, spanLg2 } from './page-ranges.ts';
export { Prng } from './prng.ts';
export { Ring } from './ring.ts';
export { type Anchor, type StandIn, type StateFields, type StateKind, type Stateful } from './saved-state.ts';
export { BASE_KINDS } from './state-kinds.ts';
export { TRACE_KINDS, Trace, type TraceKind, type TraceRecord, type TraceSink } from './trace.ts';
export {
  TRANSLATION,
  translationAccess,
  translationHigh,
  translationLow,
  translationPage,
  translationPagesLg2,
  type TranslationEntry,
} from './translation-entry.ts';
