/**
 * A machine on its virtual clock, driven step by step in this process, and the timeline of what was seen. The machine and the presets are
 * loaded when a demo runs, so that the rest of the command needs no server.
 */
type MachineDoor = typeof import('../../../server/src/core/machine/index.ts');
type BaseDoor = typeof import('../../../server/src/core/base/index.ts');
type TopologyDoor = typeof import('../../../server/src/app/topology/index.ts');

type Command = Parameters<InstanceType<MachineDoor['Machine']>['submit']>[2];
type Outgoing = ReturnType<InstanceType<MachineDoor['Machine']>['takeOutbox']>[number];
export type Reply = Extract<Outgoing, { type: 'reply' }>['reply'];
export type TraceRecord = Parameters<Parameters<InstanceType<MachineDoor['Machine']>['trace']['listen']>[0]>[0];
export type Behaviour = NonNullable<ConstructorParameters<MachineDoor['Machine']>[0]['behaviour']>;
export type FaultKind = Extract<Command, { kind: 'fault-arm' }>['fault'];
export type ResetMethod = NonNullable<Extract<Command, { kind: 'reset' }>['method']>;
type DmaFields = Partial<Pick<Extract<Command, { kind: 'model-dma' }>, 'hold' | 'translated'>>;

export interface Doors {
  readonly machine: MachineDoor;
  readonly base: BaseDoor;
  readonly topology: TopologyDoor;
}

export async function loadDoors(): Promise<Doors> {
  const [machine, base, topology] = await Promise.all([
    import('../../../server/src/core/machine/index.ts'),
    import('../../../server/src/core/base/index.ts'),
    import('../../../server/src/app/topology/index.ts'),
  ]);
  return { machine, base, topology };
}

export interface Line {
  readonly timeMs: number;
  readonly text: string;
}

/** Numbers of calls; the host is the embedding program. */
const HOST = 0;
/** The process's address space is attached under this PASID. */
const PASID = 1;
const MS = 1_000_000;
/** The region of configuration space. */
const CONFIG = 7;

export class Stage {
  readonly #lines: Line[] = [];
  readonly records: TraceRecord[] = [];
  /** What {@link tell} was to tell and found no record of. */
  readonly missing: string[] = [];
  /** Records before this one have been told. */
  #told = 0;
  readonly logs: string[] = [];
  readonly #doors: Doors;
  readonly #machine: InstanceType<MachineDoor['Machine']>;
  readonly #replies = new Map<number, Reply>();
  readonly #bdf: ReturnType<BaseDoor['bdf']>;
  #token = 0;

  /** `topology`: a document with a function at 03:00.0; absent: preset `switch`. */
  constructor(doors: Doors, behaviour: Behaviour, seed: number, topology?: object) {
    this.#doors = doors;
    const { bdf } = doors.base;
    this.#bdf = bdf(0, 3, 0, 0);
    const { memory, functions } = topology === undefined ? doors.topology.preset('switch') : doors.topology.topologyFromValue(topology);
    this.#machine = new doors.machine.Machine({
      memory,
      functions,
      iommu: { invalidationTimeoutNs: 1000 * MS },
      name: 'demo',
      seed,
      clock: 'manual',
      behaviour,
    });
    this.#machine.trace.listen((record) => {
      this.records.push(record);
    });
  }

  get nowMs(): number {
    return this.#machine.nowNs / MS;
  }
  get traceHash(): string {
    return this.#machine.traceHash;
  }

  get lines(): readonly Line[] {
    return this.#lines.toSorted((one, other) => one.timeMs - other.timeMs);
  }

  /** What the demo itself does, or has just read, now. */
  say(text: string): void {
    this.#lines.push({ timeMs: this.nowMs, text });
  }

  /**
   * What the machine did, at the time of its trace record: the next one of this kind that is about the function (or about `subject`) and
   * fits. Where there is none nothing is told, and {@link missing} has the sentence.
   */
  tell(kind: TraceRecord['kind'], text: string, fits: (record: TraceRecord) => boolean = () => true, subject: number = this.#bdf) {
    const at = this.records.findIndex((record, i) => i >= this.#told && record.kind === kind && record.a === subject && fits(record));
    const record = this.records[at];
    if (record === undefined) {
      this.missing.push(text);
      return undefined;
    }
    this.#told = at + 1;
    this.#lines.push({ timeMs: record.timeNs / MS, text });
    return record;
  }

  /** Tells everything about the function that has a sentence; what is told twice at one time is told once. */
  tellAll(sentence: (record: TraceRecord) => string | undefined): void {
    const told = new Set<string>();
    for (const record of this.records.slice(this.#told)) {
      const text = record.a === this.#bdf ? sentence(record) : undefined;
      const once = `${record.timeNs} ${text}`;
      if (text === undefined || told.has(once)) continue;
      told.add(once);
      this.#lines.push({ timeMs: record.timeNs / MS, text });
    }
    this.#told = this.records.length;
  }

  /** Bus Master Enable of the function, and whether it is blocked, as a host sees it. */
  state(): { readonly busMaster: boolean; readonly blocked: boolean } {
    const reply = this.call({ kind: 'function-info', bdf: this.#bdf });
    if (reply.kind !== 'function-info') throw new Error('demo: no function');
    return { busMaster: reply.function.busMaster, blocked: reply.function.blocked };
  }

  /** What its driver does with a function that has lost its registers: Memory Space and Bus Master Enable. */
  setUp(): void {
    this.call({ kind: 'region-write', bdf: this.#bdf, region: CONFIG, offset: 4, bytes: 2, valueLow: 6, valueHigh: 0 });
  }

  /** Submits without waiting; {@link reply} has the answer when there is one. */
  start(command: Command): number {
    const token = ++this.#token;
    this.#machine.submit(HOST, token, command);
    this.#collect();
    return token;
  }

  reply(token: number): Reply | undefined {
    return this.#replies.get(token);
  }

  /** Submits a command that is answered in the same step. */
  call(command: Command): Reply {
    const reply = this.reply(this.start(command));
    if (reply === undefined) throw new Error(`demo: ${command.kind} is still waiting`);
    if (reply.kind === 'refused') throw new Error(`demo: ${command.kind} was refused: ${reply.code} ${reply.message}`);
    return reply;
  }

  /** Moves the clock to this time of the act. */
  passTo(ms: number): void {
    this.start({ kind: 'clock-advance', ns: Math.max(0, Math.round((ms - this.nowMs) * MS)), force: false });
  }

  /** Without end. */
  arm(fault: FaultKind, delayMs = 0): void {
    this.call({ kind: 'fault-arm', bdf: this.#bdf, fault, first: 1, count: 0, point: undefined, delayNs: delayMs * MS });
  }

  disarm(fault: FaultKind): void {
    this.call({ kind: 'fault-disarm', bdf: this.#bdf, fault });
  }

  /** A process's address space, attached to the function under its PASID. */
  shareAddressSpace(): number {
    const reply = this.call({ kind: 'domain-alloc', type: 'paging', sharedAddress: true });
    if (reply.kind !== 'domain-alloc') throw new Error('demo: no domain');
    this.call({ kind: 'pasid-attach', bdf: this.#bdf, pasid: this.#doors.base.pasid(PASID), domain: reply.domain, replace: false });
    return reply.domain;
  }

  allocPage(): bigint {
    const reply = this.call({ kind: 'memory-alloc', bytes: 4096n });
    if (reply.kind !== 'memory-alloc') throw new Error('demo: no page');
    return reply.address;
  }

  freePage(address: bigint): void {
    this.call({ kind: 'memory-free', address });
  }

  map(domain: number, iova: bigint, address: bigint): void {
    this.call({ kind: 'map', target: { domain }, iova, address, bytes: 4096n, access: this.#doors.base.ACCESS.readWrite });
  }

  startUnmap(domain: number, iova: bigint): number {
    return this.start({ kind: 'unmap', target: { domain }, iova, bytes: 4096n });
  }

  /** A posted write of the function for the process, through its ATC. */
  startWrite(iova: bigint, text: string, fields: DmaFields = {}): number {
    const { low32, high32, pasid } = this.#doors.base;
    const data = new TextEncoder().encode(text);
    return this.start({
      kind: 'model-dma',
      bdf: this.#bdf,
      operation: 'write',
      bytes: data.byteLength,
      data,
      iovaLow: low32(iova),
      iovaHigh: high32(iova),
      pasid: pasid(PASID),
      translated: true,
      hold: undefined,
      holdNs: 0,
      ...fields,
    });
  }

  /** What became of a write; `waiting` while it is in flight. */
  outcome(token: number): string {
    const reply = this.reply(token);
    return reply?.kind === 'dma' ? reply.outcome : 'waiting';
  }

  releaseHeld(): void {
    this.call({ kind: 'dma-release', bdf: this.#bdf, request: 0 });
  }

  startReset(window: boolean, method: ResetMethod | undefined = 'flr', deadlineMs = 2000): number {
    return this.start({ kind: 'reset', bdf: this.#bdf, method, window, deadlineNs: deadlineMs * MS, onDeadline: 'abort' });
  }

  readText(address: bigint, bytes: number): string {
    const reply = this.call({ kind: 'memory-read', address, bytes });
    return reply.kind === 'memory-read' ? new TextDecoder().decode(reply.data).replaceAll('\0', '·') : '';
  }

  writeText(address: bigint, text: string): void {
    this.call({ kind: 'memory-write', address, data: new TextEncoder().encode(text) });
  }

  /** Trace records of a kind about the demo's function. */
  seen(kind: TraceRecord['kind']): readonly TraceRecord[] {
    return this.records.filter((record) => record.kind === kind && record.a === this.#bdf);
  }

  #collect(): void {
    for (const item of this.#machine.takeOutbox()) {
      if (item.type === 'reply') this.#replies.set(item.token, item.reply);
      else if (item.type === 'event' && item.event.kind === 'log') {
        this.logs.push(item.event.text);
        this.#lines.push({ timeMs: item.event.timeNs / MS, text: `machine: ${item.event.text}` });
      }
    }
  }
}
