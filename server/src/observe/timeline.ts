// long: a line for each kind of trace
/** A machine's trace as a timeline for the Perfetto UI: a group of tracks for each function, and one for whoever else has something to show. */
import {
  HOLD_POINTS,
  ModelError,
  OUTCOMES,
  PAGE_ANSWERS,
  RESET_METHODS,
  bdfFromNumber,
  formatBdf,
  type TraceKind,
  type TraceRecord,
} from '../core/base/index.ts';
import { PREPARE_PHASES, RESET_STEPS } from '../core/machine/index.ts';
import { OwnerArrows } from './owner-arrows.ts';
import { TrackGroup, type Arrow, type TimelineEvent } from './timeline-events.ts';
import { traceFields } from './trace-line.ts';

export type TimelineTrack = TrackGroup;

/** Events of one timeline: some hundred megabytes, which is what a browser still opens. */
const TIMELINE_EVENTS_MAX = 2_000_000;

const MACHINE_PID = 1;
/** Connections stand above functions. */
const FIRST_FUNCTION_PID = 1000;

const TRACK = {
  window: 'reset window',
  reset: 'reset',
  gate: 'gate',
  domain: 'domain',
  link: 'link',
  events: 'events',
  mappings: 'mappings',
} as const;

/** What an arrow from a DMA request to its owner's call is called. */
const ASKS = 'asks the owner';
const OWNER_LANES = 'at its owner';

interface FunctionTracks {
  readonly group: TrackGroup;
  readonly arrows: OwnerArrows;
  readonly inFlight: Set<number>;
  readonly invalidations: Set<number>;
  /** Physical page of requests that are translated. */
  readonly pages: Map<number, number>;
  /** When what counts them last changed. */
  countedNs: number;
  /** The step of a reset that runs, and when it began. */
  step: number;
  stepNs: number;
}

type Told = (f: FunctionTracks, record: TraceRecord) => void;

/** Whole pages of 4 KiB as an address, in the form in which people read them. */
function addressOf(page: number): string {
  return `0x${(BigInt(page) << 12n).toString(16)}`;
}

const instantOn =
  (track: string): Told =>
  ({ group }, record) =>
    group.instant(track, record.kind, record.timeNs, traceFields(record));

export class Timeline {
  readonly #events: TimelineEvent[] = [];
  readonly #machine: TrackGroup;
  readonly #functions = new Map<number, FunctionTracks>();
  readonly #groups = new Map<string, TrackGroup>();
  readonly #arrows = new OwnerArrows();
  readonly #titles: ReadonlyMap<number, string>;
  readonly #eventsMax: number;
  readonly #add = (event: TimelineEvent): void => {
    if (this.#events.length < this.#eventsMax) this.#events.push(event);
    else this.#isFull = true;
  };
  #isFull = false;
  #lastNs = 0;

  /** `titles`: what functions are, by their packed address. */
  constructor(name: string, titles: ReadonlyMap<number, string> = new Map(), eventsMax: number = TIMELINE_EVENTS_MAX) {
    this.#eventsMax = eventsMax;
    this.#machine = new TrackGroup(this.#add, MACHINE_PID, `machine ${name}`);
    this.#titles = titles;
  }

  /** Give this to a machine's trace. */
  readonly sink = (record: TraceRecord): void => {
    this.#lastNs = Math.max(this.#lastNs, record.timeNs);
    const told = ON_FUNCTION[record.kind];
    if (told === undefined) this.#machine.instant(TRACK.mappings, record.kind, record.timeNs, traceFields(record));
    else told(this.#functionOf(record.a), record);
  };

  /** A group of its own, made at its first use: a connection. */
  group(name: string): TimelineTrack {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const group = new TrackGroup(this.#add, MACHINE_PID + 1 + this.#groups.size, name);
    this.#groups.set(name, group);
    return group;
  }

  /** The file: JSON. What is open ends at `untilNs`, or when the last thing happened. ModelError EMSGSIZE where there was too much. */
  end(untilNs = 0): string {
    if (this.#isFull) {
      throw new ModelError('EMSGSIZE', `more than ${this.#eventsMax} events for one timeline; make it of a shorter recording`, 'recording');
    }
    const ns = Math.max(untilNs, this.#lastNs);
    for (const { group, step, stepNs } of this.#functions.values()) {
      // Nothing tells when the last step ended.
      if (step >= 0) group.end(TRACK.reset, stepNs);
      group.close(ns);
    }
    for (const group of this.#groups.values()) group.close(ns);
    const events = this.#events.toSorted((a, b) => tsOf(a) - tsOf(b));
    return `{"displayTimeUnit":"ns","traceEvents":[\n${events.map((event) => JSON.stringify(event)).join(',\n')}\n]}\n`;
  }

  /** A call goes to the owner of this physical page: the other end of the arrow of the request that it is for; undefined: of none. */
  ownerAsked(owner: number, page: number): Arrow | undefined {
    const id = this.#arrows.take(owner, page);
    return id === undefined ? undefined : { end: 'to', name: ASKS, id };
  }

  /** A figure of the whole machine. */
  count(name: string, ns: number, value: number): void {
    this.#machine.count(name, ns, value);
  }

  #functionOf(number: number): FunctionTracks {
    const known = this.#functions.get(number);
    if (known !== undefined) return known;
    const title = this.#titles.get(number);
    const bdf = formatBdf(bdfFromNumber(number));
    const group = new TrackGroup(this.#add, FIRST_FUNCTION_PID + this.#functions.size, title === undefined ? bdf : `${bdf} ${title}`);
    const made = {
      group,
      arrows: this.#arrows,
      inFlight: new Set<number>(),
      invalidations: new Set<number>(),
      pages: new Map<number, number>(),
      countedNs: -1,
      step: -1,
      stepNs: 0,
    };
    this.#functions.set(number, made);
    return made;
  }
}

/** What names a track comes first. */
function tsOf(event: TimelineEvent): number {
  return event.ph === 'M' ? -1 : event.ts;
}

function issued(f: FunctionTracks, { b: request, c: page, d: bytes, timeNs }: TraceRecord): void {
  f.group.start('dma', request, `DMA ${addressOf(page)}`, timeNs, { request, bytes });
  f.inFlight.add(request);
  f.group.count('in flight', timeNs, f.inFlight.size);
}

function translated(f: FunctionTracks, record: TraceRecord): void {
  f.pages.set(record.b, record.c);
  marked(f, record);
}

/** Memory that a peer owns: a slice until its answer, with an arrow to the call that asks for it. */
function sent(f: FunctionTracks, record: TraceRecord): void {
  marked(f, record);
  const { b: request, c: owner, timeNs } = record;
  if (owner === 0) return;
  const id = f.arrows.add(owner, f.pages.get(request) ?? -1);
  const args = { request, owner };
  f.group.beginLane(OWNER_LANES, request, `request ${request} at peer ${owner}`, timeNs, { args, arrow: { end: 'from', name: ASKS, id } });
}

function performed(f: FunctionTracks, record: TraceRecord): void {
  f.group.endLane(OWNER_LANES, record.b, record.timeNs);
  marked(f, record);
}

function completed(f: FunctionTracks, { b: request, c: status, timeNs }: TraceRecord): void {
  f.group.endLane(OWNER_LANES, request, timeNs, { outcome: OUTCOMES[status] ?? status });
  f.pages.delete(request);
  f.group.finish('dma', request, timeNs, { outcome: OUTCOMES[status] ?? status });
  if (f.inFlight.delete(request)) f.group.count('in flight', timeNs, f.inFlight.size);
}

const marked: Told = ({ group }, record) => group.mark('dma', record.b, record.kind, record.timeNs, traceFields(record));

function held({ group }: FunctionTracks, { b: request, c: point, timeNs }: TraceRecord): void {
  group.mark('dma', request, `held: ${HOLD_POINTS[point] ?? point}`, timeNs);
}

const invalidated =
  (result: string): Told =>
  ({ group, invalidations }, { b: itag, timeNs }) => {
    group.finish('invalidation', itag, timeNs, { result });
    if (invalidations.delete(itag)) group.count('invalidations outstanding', timeNs, invalidations.size);
  };

function invalidationSent({ group, invalidations }: FunctionTracks, { b: itag, c: page, d: pages, timeNs }: TraceRecord): void {
  const what = pages === 0 ? 'everything' : `${addressOf(page)}, ${pages} pages`;
  group.start('invalidation', itag, `ITag ${itag}: ${what}`, timeNs, { itag, pages });
  invalidations.add(itag);
  group.count('invalidations outstanding', timeNs, invalidations.size);
}

/** The window is one slice, and the phase it is in another within it. */
function prepared({ group }: FunctionTracks, { b: phase, c: depth, d: count, timeNs }: TraceRecord): void {
  const name = PREPARE_PHASES[phase] ?? String(phase);
  if (name === 'nested') {
    group.instant(TRACK.window, `nested, depth ${depth}`, timeNs);
    return;
  }
  if (group.depth(TRACK.window) === 0) group.begin(TRACK.window, 'window', timeNs);
  else if (group.depth(TRACK.window) > 1) group.end(TRACK.window, timeNs);
  if (name === 'open') group.end(TRACK.window, timeNs);
  else group.begin(TRACK.window, name, timeNs, { depth, count });
}

function windowDone({ group }: FunctionTracks, { c: domain, d: error, timeNs }: TraceRecord): void {
  while (group.depth(TRACK.window) > 0) group.end(TRACK.window, timeNs, { domain, restored: error === 0 });
}

function stepped(f: FunctionTracks, { b: step, c: method, timeNs }: TraceRecord): void {
  const name = RESET_STEPS[step] ?? String(step);
  const { group } = f;
  const isNext = f.step >= 0 && step >= f.step;
  if (f.step >= 0) group.end(TRACK.reset, isNext ? timeNs : f.stepNs);
  if (f.step >= 0 && !isNext) group.end(TRACK.reset, f.stepNs);
  if (group.depth(TRACK.reset) === 0) group.begin(TRACK.reset, RESET_METHODS[method] ?? 'reset', timeNs);
  group.begin(TRACK.reset, name, timeNs, { method: RESET_METHODS[method] ?? 'none yet' });
  f.step = step;
  f.stepNs = timeNs;
  if (name !== 'announce-end') return;
  group.end(TRACK.reset, timeNs);
  group.end(TRACK.reset, timeNs);
  f.step = -1;
}

/** A slice for as long as it is so. */
const whileIt =
  (track: string, name: string, isOn: (record: TraceRecord) => boolean): Told =>
  ({ group }, record) => {
    if (!isOn(record)) group.end(track, record.timeNs);
    else if (group.depth(track) === 0) group.begin(track, name, record.timeNs);
  };

const NO_PASID = -1;

function contextSet({ group }: FunctionTracks, { b: pasid, c: space, d: blocked, timeNs }: TraceRecord): void {
  const track = pasid === NO_PASID ? TRACK.domain : `domain of PASID ${pasid}`;
  group.end(track, timeNs);
  if (space !== 0 || blocked !== 0) group.begin(track, blocked === 0 ? `address space ${space}` : 'blocked', timeNs);
}

function pageRequested({ group }: FunctionTracks, record: TraceRecord): void {
  const { b: number, c: page, timeNs } = record;
  group.start('page request', number, `page request group ${number}: ${addressOf(page)}`, timeNs, traceFields(record));
}

function pageAnswered({ group }: FunctionTracks, { b: number, c: answer, timeNs }: TraceRecord): void {
  group.finish('page request', number, timeNs, { answer: PAGE_ANSWERS[answer] ?? answer });
}

const onEvents = instantOn(TRACK.events);

/** What is shown on the function that a record is of; what has none is of the whole machine. */
const ON_FUNCTION: { readonly [K in TraceKind]: Told | undefined } = {
  'config-write': instantOn('configuration'),
  'dma-issued': issued,
  'dma-held': held,
  'dma-released': marked,
  'dma-translated': translated,
  'dma-sent': sent,
  'dma-performed': performed,
  'dma-completed': completed,
  'dma-aborted': marked,
  'late-answer': onEvents,
  fault: ({ group }, { b: cause, c: page, timeNs, d: access }) =>
    group.instant(TRACK.events, `fault ${OUTCOMES[cause] ?? cause}`, timeNs, { iova: addressOf(page), access }),
  'stale-atc': onEvents,
  'ats-granted': instantOn('ATC'),
  'ats-dropped': instantOn('ATC'),
  'invalidation-sent': invalidationSent,
  'invalidation-ignored': ({ group }, { b, timeNs }) => group.mark('invalidation', b, 'ignored', timeNs),
  'invalidation-answered': ({ group }, { b, c, d, timeNs }) => group.mark('invalidation', b, 'answered', timeNs, { completions: c, of: d }),
  'invalidation-completed': invalidated('completed'),
  'invalidation-timeout': invalidated('timed out'),
  'invalidation-late': onEvents,
  mapped: undefined,
  unmapped: undefined,
  'iotlb-invalidated': undefined,
  'context-set': contextSet,
  'ats-enable': whileIt('ATS', 'enabled', ({ b }) => b !== 0),
  gate: whileIt(TRACK.gate, 'closed', ({ b }) => b === 0),
  prepare: prepared,
  done: windowDone,
  drained: ({ group }, { b: drained, c: aborted, d: indeterminate, timeNs }) =>
    group.instant(TRACK.window, 'drained', timeNs, { drained, aborted, indeterminate }),
  'reset-step': stepped,
  'function-reset': ({ group }, { b, timeNs }) => group.instant(TRACK.reset, `function is reset by ${RESET_METHODS[b] ?? b}`, timeNs),
  'function-ready': ({ group }, { timeNs }) => group.instant(TRACK.reset, 'function is ready', timeNs),
  interrupt: onEvents,
  'interrupt-pending': onEvents,
  'interrupt-dropped': onEvents,
  intx: whileIt('INTx', 'asserted', ({ b }) => b !== 0),
  warning: onEvents,
  'page-request': pageRequested,
  'page-request-dropped': onEvents,
  'stop-marker': onEvents,
  'page-fault': onEvents,
  'page-response': pageAnswered,
  link: whileIt(TRACK.link, 'down', ({ b }) => b === 0),
  'page-response-late': onEvents,
  'bus-reset': whileIt('secondary bus', 'in reset', ({ b }) => b !== 0),
  'bus-error': onEvents,
};
