/** The machines of this process: made, found, deleted when their time is over, and all of them stopped in order. */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from 'ws';
import { CLOSE } from '../../../proto/index.ts';
import { Machine, type MachineOptions, type MachineSpec } from '../core/machine/index.ts';
import type { Log, ServiceCounts } from '../observe/index.ts';
import { Buffers, MachineHost, decodeSnapshot, encodeSnapshot, rpcCounters, type RpcLog } from '../rpc/index.ts';
import { openMachineFiles, type MachineFiles, type MachineFolders } from './machine-files.ts';
import type { MachineRequest } from './machine-request.ts';
import { Refusal } from './refusal.ts';
import { opens, type Grant } from './tokens.ts';
import { MACHINE_NAME, readPluggedFunctions } from './topology/index.ts';
import { VERSION } from './version.ts';

/** How long an ephemeral machine waits for its first client. A slow one connects in seconds. */
const EPHEMERAL_MS_MAX = 60_000;
/** What a machine may be called; what looks like an id is kept for ids. */
const NAME = new RegExp(MACHINE_NAME);
const ID = /^m-[0-9a-f]{12}$/;
const ID_BYTES = 6;
/** What an x86-64 table maps: pages of 4 KiB, 2 MiB and 1 GiB. */
const PAGE_BYTES = [4096, 2 << 20, 1 << 30] as const;

export interface MachinesOptions extends MachineFolders {
  readonly log: Log;
  readonly machinesMax: number;
  readonly onDeleted: (entry: MachineEntry) => void;
}

export interface Keeping {
  readonly labels: Readonly<Record<string, string>>;
  readonly ttlSeconds: number | undefined;
  /** Deleted when the first connection that is granted a role closes, or when none is in a minute. */
  readonly ephemeral: boolean;
  /** Of functions whose peer has vanished; absent: PEER_GRACE_MS. */
  readonly peerGraceMs?: number;
}

export interface MachineEntry {
  readonly id: string;
  readonly name: string;
  readonly source: string;
  readonly spec: MachineSpec;
  readonly labels: Readonly<Record<string, string>>;
  readonly ephemeral: boolean;
  readonly createdAt: Date;
  readonly expiresAt: Date | undefined;
  readonly warnings: readonly string[];
  readonly host: MachineHost;
  /** The machine as it is now. */
  readonly machine: Pick<Machine, 'functions'>;
  /** It met a bug of the server and is closed; it stays so that this can be told. */
  readonly crashed: boolean;
}

interface Kept extends MachineEntry {
  readonly machine: Machine;
  readonly files: MachineFiles;
  readonly lifetime: NodeJS.Timeout | undefined;
  /** Of an ephemeral machine to which nobody has connected. */
  readonly loneliness: NodeJS.Timeout | undefined;
  /** The socket whose end is the end of an ephemeral machine. */
  creator: WebSocket | undefined;
  crashed: boolean;
}

export class Machines {
  readonly #options: MachinesOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #idByName = new Map<string, string>();
  readonly #counters = rpcCounters();
  readonly #buffers = new Buffers();
  readonly #ports: MachineOptions = { readBuffers: this.#buffers, readFunctions: readPluggedFunctions };
  /** Files of deleted machines that are not closed yet. */
  readonly #closing = new Set<Promise<void>>();
  #created = 0;
  #draining = false;

  constructor(options: MachinesOptions) {
    this.#options = options;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Errors: EEXIST (the name), ENOMEM (as many machines as there may be), EINVAL (the name, or what in the spec cannot be). */
  create({ name, spec, source, preset, warnings }: MachineRequest, keeping: Keeping): MachineEntry {
    return this.#keep(name, keeping, { source, preset, warnings }, (given) => new Machine({ ...spec, name: given }, this.#ports));
  }

  /**
   * A machine that {@link save} has saved, named as it was where no other name is given. `check`: throws where it may not be named so. Errors: as of
   * {@link create}; EINVAL says what is wrong with the file.
   */
  load(file: Uint8Array, wanted: string | undefined, keeping: Keeping, check: (name: string) => void): MachineEntry {
    const saved = decodeSnapshot(file, VERSION);
    const given = wanted ?? saved.name;
    check(given);
    return this.#keep(given, keeping, { source: 'snapshot', preset: '', warnings: [] }, (name) =>
      Machine.restore(saved, { ...this.#ports, name }),
    );
  }

  /** Errors: EMSGSIZE where it is more than a snapshot may be. */
  save({ id }: MachineEntry): Uint8Array {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new Refusal('ENODEV', `machine ${id} was deleted`, 'machine');
    return encodeSnapshot(kept.machine, VERSION);
  }

  #keep(
    wanted: string | undefined,
    keeping: Keeping,
    from: Pick<MachineRequest, 'source' | 'preset' | 'warnings'>,
    make: (name: string) => Machine,
  ): MachineEntry {
    if (this.#kept.size >= this.#options.machinesMax) {
      throw new Refusal('ENOMEM', `there are ${this.#kept.size} machines, as many as there may be (IOMMUD_MACHINES_MAX); delete some`);
    }
    const id = newId();
    const name = wanted === undefined ? id : this.#freeName(wanted);
    const machine = make(name);
    const { spec } = machine;
    const log = this.#options.log.child({ machine: id });
    const host = this.#hostOf(id, machine, from, keeping.peerGraceMs, log);
    const files = openMachineFiles(id, machine, host, this.#options, log);
    const createdAt = new Date();
    const expiresAt = keeping.ttlSeconds === undefined ? undefined : new Date(createdAt.getTime() + keeping.ttlSeconds * 1000);
    const entry: Kept = {
      id,
      name,
      source: from.source,
      spec,
      labels: keeping.labels,
      ephemeral: keeping.ephemeral,
      createdAt,
      expiresAt,
      warnings: from.warnings,
      machine,
      host,
      files,
      lifetime: keeping.ttlSeconds === undefined ? undefined : this.#deleteAfter(id, keeping.ttlSeconds * 1000, 'its time to live is over'),
      loneliness: keeping.ephemeral ? this.#deleteAfter(id, EPHEMERAL_MS_MAX, 'it is ephemeral and nobody connected') : undefined,
      creator: undefined,
      crashed: false,
    };
    this.#kept.set(id, entry);
    this.#idByName.set(name, id);
    this.#created++;
    log.info(
      { name, source: from.source, functions: spec.functions.length, behaviour: spec.behaviour, seed: spec.seed },
      'machine created',
    );
    return entry;
  }

  /** In the order in which they were made. */
  list(): readonly MachineEntry[] {
    return [...this.#kept.values()];
  }

  /** By id or name, when the grant opens it; else ENODEV, so that nobody learns of machines that are not theirs. */
  open(grant: Grant, idOrName: string): MachineEntry {
    const entry = this.find(idOrName);
    if (entry === undefined || !opens(grant, entry.name, entry.id)) {
      throw new Refusal('ENODEV', `there is no machine '${idOrName}'`, 'machine');
    }
    return entry;
  }

  /** As {@link open}, for what needs it to run. Errors: EIO when it has crashed. */
  use(grant: Grant, idOrName: string): MachineEntry {
    const entry = this.open(grant, idOrName);
    if (!entry.crashed) return entry;
    throw new Refusal('EIO', `machine ${entry.id} crashed on a bug of the server; the log has more. Delete it`, 'machine', 500);
  }

  find(idOrName: string): MachineEntry | undefined {
    return this.#kept.get(idOrName) ?? this.#kept.get(this.#idByName.get(idOrName) ?? '');
  }

  /** Says that a socket was opened to it, and was granted a role. */
  joined({ id }: MachineEntry, socket: WebSocket): void {
    const entry = this.#kept.get(id);
    if (entry === undefined || !entry.ephemeral || entry.creator !== undefined) return;
    entry.creator = socket;
    clearTimeout(entry.loneliness);
    socket.once('close', () => this.#delete(entry, 'it is ephemeral and its socket was closed'));
  }

  /** Closes its sockets with 1001. What it was is gone. */
  delete({ id }: MachineEntry, why: string): void {
    this.#deleteById(id, why);
  }

  counts(): ServiceCounts {
    return { ...this.#counters, machines: this.#kept.size, machinesTotal: this.#created };
  }

  /**
   * Begins to drain: new calls are refused, those in flight end or are answered ESHUTDOWN within `drainMs` (wall clock). Then everything is
   * closed.
   */
  async close(drainMs: number): Promise<void> {
    this.#draining = true;
    await Promise.all(this.list().map(({ host }) => host.drain(drainMs)));
    for (const entry of this.#kept.values()) this.#delete(entry, 'the service is stopping');
    await Promise.all(this.#closing);
  }

  #freeName(name: string): string {
    if (!NAME.test(name) || ID.test(name)) {
      throw new Refusal(
        'EINVAL',
        `'${name}' cannot name a machine: up to 64 letters, digits, '.', '_' and '-', and nothing like an id`,
        'name',
      );
    }
    const other = this.#idByName.get(name);
    if (other !== undefined)
      throw new Refusal('EEXIST', `machine ${other} is named '${name}' already; delete it or take another name`, 'name');
    return name;
  }

  #hostOf(
    id: string,
    machine: Machine,
    { source, preset }: Pick<MachineRequest, 'source' | 'preset'>,
    graceMs: number | undefined,
    log: Log,
  ): MachineHost {
    const { spec } = machine;
    const toLog: RpcLog = ({ level, text, session, error }) =>
      log[level]({ ...(session === undefined ? {} : { session }), ...(error === undefined ? {} : { err: error }) }, text);
    return new MachineHost(machine, {
      realTime: spec.clock === 'real',
      nowNs: machine.nowNs,
      restored: source === 'snapshot',
      ...(graceMs === undefined ? {} : { graceMs }),
      welcome: {
        product: 'iommud',
        productVersion: VERSION,
        machine: spec.name,
        preset,
        pageBytes: spec.iommu === undefined ? [] : PAGE_BYTES,
      },
      seed: spec.seed,
      counters: this.#counters,
      buffers: this.#buffers,
      log: toLog,
      onCrash: () => this.#crashed(id),
    });
  }

  #deleteAfter(id: string, ms: number, why: string): NodeJS.Timeout {
    return setTimeout(() => this.#deleteById(id, why), ms).unref();
  }

  #crashed(id: string): void {
    const entry = this.#kept.get(id);
    if (entry !== undefined) entry.crashed = true;
  }

  #deleteById(id: string, why: string): void {
    const entry = this.#kept.get(id);
    if (entry !== undefined) this.#delete(entry, why);
  }

  #delete(entry: Kept, why: string): void {
    if (!this.#kept.delete(entry.id)) return;
    this.#idByName.delete(entry.name);
    clearTimeout(entry.lifetime);
    clearTimeout(entry.loneliness);
    entry.host.close(CLOSE.goingAway, why);
    const closing = entry.files.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    this.#options.log.info({ machine: entry.id, name: entry.name }, `machine deleted: ${why}`);
    this.#options.onDeleted(entry);
  }
}

/** Whether it has every label of the list, each `KEY` or `KEY=VALUE`. */
export function labelled({ labels }: MachineEntry, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const at = text.indexOf('=');
    const key = at === -1 ? text : text.slice(0, at);
    return Object.hasOwn(labels, key) && (at === -1 || labels[key] === text.slice(at + 1));
  });
}

/** Chance is outside the machine: its trace does not know its id. */
function newId(): string {
  return `m-${randomBytes(ID_BYTES).toString('hex')}`;
}
