/** The Trace Event Format, as far as it is used here: what chrome://tracing and the Perfetto UI read. */

/** Nanoseconds become microseconds, which is what `ts` is in, with three digits after the point. */
const US_NS = 1000;

export type Args = Readonly<Record<string, unknown>>;

interface Common {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds. */
  readonly ts: number;
}

export type TimelineEvent =
  /** A slice of a track begins and ends; those of one track are nested. */
  | (Common & { readonly ph: 'B' | 'E'; readonly args?: Args })
  /** A slice that may overlap others of its kind, from `b` over `n` to `e`, by category and id. */
  | (Common & { readonly ph: 'b' | 'n' | 'e'; readonly cat: string; readonly id2: { readonly local: string }; readonly args?: Args })
  /** Of one moment. */
  | (Common & { readonly ph: 'i'; readonly s: 't'; readonly args?: Args })
  /** An arrow from the slice of a track that begins then to another's: `s` is its start, `f` its end, by category and id. */
  | (Common & { readonly ph: 's' | 'f'; readonly cat: string; readonly id: number; readonly bp?: 'e' })
  | (Common & { readonly ph: 'C'; readonly args: Readonly<Record<string, number>> })
  | {
      readonly ph: 'M';
      readonly name: 'process_name' | 'thread_name';
      readonly pid: number;
      readonly tid: number;
      readonly args: { readonly name: string };
    }
  | {
      readonly ph: 'M';
      readonly name: 'process_sort_index';
      readonly pid: number;
      readonly tid: number;
      readonly args: { readonly sort_index: number };
    };

/** Of tracks that slices which overlap are spread over. */
const LANES_MAX = 8;

/** One end of an arrow between two slices. */
export interface Arrow {
  readonly end: 'from' | 'to';
  readonly name: string;
  readonly id: number;
}

/** Whatever has slices: a function, a connection, the machine. */
export class TrackGroup {
  readonly #add: (event: TimelineEvent) => void;
  readonly #pid: number;
  readonly #tracks = new Map<string, { readonly tid: number; readonly open: string[] }>();
  /** Slices beside others, by category and id. */
  readonly #open = new Map<string, { readonly cat: string; readonly id: number | string; readonly name: string }>();

  /** The track that each slice of lanes is on. */
  readonly #lanes = new Map<string, string>();

  /** `pid` is above 0, and below 2^24: a track's number is made of it. */
  constructor(add: (event: TimelineEvent) => void, pid: number, name: string) {
    this.#add = add;
    this.#pid = pid;
    add({ ph: 'M', name: 'process_name', pid, tid: this.#tidOf(0), args: { name } });
    add({ ph: 'M', name: 'process_sort_index', pid, tid: this.#tidOf(0), args: { sort_index: pid } });
  }

  begin(track: string, name: string, ns: number, args?: Args): void {
    const { tid, open } = this.#track(track);
    open.push(name);
    this.#add({ ph: 'B', name, pid: this.#pid, tid, ts: ns / US_NS, ...(args === undefined ? {} : { args }) });
  }

  /** Ends the innermost slice; nothing where none is open. */
  end(track: string, ns: number, args?: Args): void {
    const { tid, open } = this.#track(track);
    const name = open.pop();
    if (name === undefined) return;
    this.#add({ ph: 'E', name, pid: this.#pid, tid, ts: ns / US_NS, ...(args === undefined ? {} : { args }) });
  }

  /** How many slices of the track are open. */
  depth(track: string): number {
    return this.#tracks.get(track)?.open.length ?? 0;
  }

  instant(track: string, name: string, ns: number, args?: Args): void {
    const { tid } = this.#track(track);
    this.#add({ ph: 'i', s: 't', name, pid: this.#pid, tid, ts: ns / US_NS, ...(args === undefined ? {} : { args }) });
  }

  /**
   * A slice that may overlap others of its kind and yet is one of a track, as arrows need it: `NAME`, `NAME 2`, … take what overlaps. One more than there are
   * such tracks is beside others ({@link start}).
   */
  beginLane(lanes: string, id: number | string, name: string, ns: number, { args, arrow }: { args?: Args; arrow?: Arrow } = {}): void {
    this.endLane(lanes, id, ns);
    for (let number = 1; number <= LANES_MAX; number++) {
      const track = number === 1 ? lanes : `${lanes} ${number}`;
      if (this.depth(track) > 0) continue;
      this.begin(track, name, ns, args);
      this.#lanes.set(`${lanes} ${id}`, track);
      if (arrow !== undefined) this.#arrow(track, ns, arrow);
      return;
    }
    this.start(lanes, id, name, ns, args);
  }
  endLane(lanes: string, id: number | string, ns: number, args?: Args): void {
    const track = this.#lanes.get(`${lanes} ${id}`);
    this.#lanes.delete(`${lanes} ${id}`);
    if (track === undefined) this.finish(lanes, id, ns, args);
    else this.end(track, ns, args);
  }

  #arrow(track: string, ns: number, { end, name, id }: Arrow): void {
    const { tid } = this.#track(track);
    const common = { name, cat: name, id, pid: this.#pid, tid, ts: ns / US_NS };
    this.#add(end === 'from' ? { ph: 's', ...common } : { ph: 'f', bp: 'e', ...common });
  }

  /** A slice beside others. One of that id that is open already is ended first. */
  start(cat: string, id: number | string, name: string, ns: number, args?: Args): void {
    this.finish(cat, id, ns);
    this.#open.set(`${cat} ${id}`, { cat, id, name });
    this.#async('b', cat, id, name, ns, args);
  }
  mark(cat: string, id: number | string, name: string, ns: number, args?: Args): void {
    if (this.#open.has(`${cat} ${id}`)) this.#async('n', cat, id, name, ns, args);
  }
  /** True when one of that id was open. */
  finish(cat: string, id: number | string, ns: number, args?: Args): boolean {
    const open = this.#open.get(`${cat} ${id}`);
    if (open === undefined) return false;
    this.#open.delete(`${cat} ${id}`);
    this.#async('e', cat, id, open.name, ns, args);
    return true;
  }

  count(name: string, ns: number, value: number): void {
    this.#add({ ph: 'C', name, pid: this.#pid, tid: this.#tidOf(0), ts: ns / US_NS, args: { value } });
  }

  /** Everything that is open ends here: what was recorded goes no further. */
  close(ns: number): void {
    for (const [track, { open }] of this.#tracks) while (open.length > 0) this.end(track, ns);
    for (const { cat, id } of this.#open.values()) this.finish(cat, id, ns);
  }

  #async(ph: 'b' | 'n' | 'e', cat: string, id: number | string, name: string, ns: number, args: Args | undefined): void {
    const id2 = { local: typeof id === 'number' ? `0x${id.toString(16)}` : id };
    const common = { ph, name, cat, id2, pid: this.#pid, tid: this.#tidOf(0), ts: ns / US_NS };
    this.#add(args === undefined ? common : { ...common, args });
  }

  #track(name: string): { readonly tid: number; readonly open: string[] } {
    const known = this.#tracks.get(name);
    if (known !== undefined) return known;
    const track = { tid: this.#tidOf(this.#tracks.size + 1), open: [] };
    this.#tracks.set(name, track);
    this.#add({ ph: 'M', name: 'thread_name', pid: this.#pid, tid: track.tid, args: { name } });
    return track;
  }

  /** A thread's number is its own in the whole file, and no process's. */
  #tidOf(index: number): number {
    return 0x1000_0000 + this.#pid * 0x40 + index;
  }
}
