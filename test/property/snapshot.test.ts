/**
 * Whatever a machine was asked and whatever waits in it: saved, made into a file, and made from that again, it does what the machine does that was never
 * stopped. Without peers its trace hash is the same too; peers are gone from it as if they had left.
 */
import { expect, it } from 'vitest';
import { ModelError, NO_PASID, pasid } from '../../server/src/core/base/index.ts';
import { Machine, type Command, type Outgoing } from '../../server/src/core/machine/index.ts';
import { decodeSnapshot, encodeSnapshot } from '../../server/src/rpc/index.ts';
import { MS, PROBE, RAM, REMOTE, SIBLINGS, probe, remote, specOf } from '../kit/core-machine.ts';
import { FUNCTIONS, OWNED, RandomCommands } from '../kit/random-commands.ts';
import { HIERARCHY, hierarchyCommand } from '../kit/random-hierarchy.ts';

const HISTORIES = 120;
const TIMEOUT_MS = 300_000;
const BEFORE_MAX = 160;
const AFTER = 60;
const VERSION = '1.2.3';

function restored(machine: Machine): Machine {
  return Machine.restore(decodeSnapshot(encodeSnapshot(machine, VERSION), VERSION));
}

class History extends RandomCommands {
  readonly machine: Machine;
  #token = 0;

  constructor(seed: number) {
    super(seed);
    this.machine = new Machine(
      specOf({
        behaviour: this.pick(['strict', 'linux-7.1', 'linux-7.0']),
        clock: this.pick(['auto', 'manual', 'manual']),
        dmaFlush: this.pick(['strict', 'lazy']),
        isolation: this.pick(['blocked', 'direct-regions']),
        functions: [
          {
            ...probe(PROBE),
            latencyNs: this.pick([0, 3 * MS]),
            directRegions: [{ address: RAM + 0xf_0000n, bytes: 0x1000n, relaxable: true }],
          },
          ...SIBLINGS,
          remote(REMOTE),
          ...HIERARCHY,
        ],
      }),
    );
  }

  next(): Command {
    switch (this.below(4)) {
      case 0:
        return this.pick(this.#more())();
      case 1:
        return hierarchyCommand(this);
      default:
        return this.command();
    }
  }

  /** What waits longest: held calls, page requests, domains of every sort, I/O address spaces. */
  #more(): readonly (() => Command)[] {
    const bdf = this.pick(FUNCTIONS);
    const ioas = 1 + this.below(3);
    const iova = this.pick([0x1_0000n, 0x1_1000n, 0x4_0000n]);
    const target = this.below(2) === 0 ? { domain: this.below(14) } : { bdf, pasid: this.pick([NO_PASID, pasid(1)]) };
    return [
      () => ({
        kind: 'call-hold',
        call: this.pick(['', 'prepare', 'done', 'unmap', 'attach', 'flush', 'invalidate']),
        step: '',
        bdf: undefined,
        count: this.below(3),
      }),
      () => ({ kind: 'call-release', hold: this.below(60), stopped: 0, keep: this.below(2) === 0 }),
      () => ({ kind: 'domain-alloc', type: 'paging', sharedAddress: false, dirtyTracking: true }),
      () => ({
        kind: 'domain-alloc',
        type: 'paging',
        sharedAddress: false,
        format: this.pick(['vtd-second-stage-4level', 'arm-s2-4k-40', 'amd-v1-4level', 'riscv-sv39', 'x86-64-5level']),
      }),
      () => ({ kind: 'domain-alloc', type: 'paging', sharedAddress: false, root: RAM, accessedDirty: this.below(2) === 0 }),
      () => ({
        kind: 'domain-alloc',
        type: 'paging',
        sharedAddress: false,
        root: RAM,
        format: this.pick(['x86-64', 'arm-s1-4k-39']),
        parent: this.below(14),
      }),
      () => ({ kind: 'domain-alloc', type: 'paging', sharedAddress: false, faults: true }),
      () => ({ kind: 'dirty-tracking-set', target, on: this.below(3) > 0 }),
      () => ({ kind: 'dirty-read', target, iova, bytes: 0x2000n, pageBytes: 4096n, clear: this.below(2) === 0 }),
      () => ({ kind: 'map', target: { bdf, pasid: NO_PASID }, iova: undefined, address: RAM, bytes: 0x3000n, access: 3 }),
      () => ({ kind: 'unmap', target: { bdf, pasid: NO_PASID }, iova: 0xffff_c000n, bytes: 0x3000n }),
      () => ({ kind: 'ioas-alloc' }),
      () => ({ kind: 'ioas-map', ioas, iova: this.pick([undefined, iova]), address: RAM, bytes: 0x2000n, access: 3 }),
      () => ({ kind: 'ioas-unmap', ioas, iova, bytes: 0x2000n }),
      () => ({ kind: 'ioas-ranges', ioas, unmapped: true }),
      () => ({ kind: 'domain-attach', bdf, domain: 0, ioas }),
      () => ({ kind: 'report-broken', bdf }),
      () => ({ kind: 'default-domain-set', bdf, type: this.pick(['auto', 'identity', 'dma', 'dma-fq']) }),
      () => ({ kind: 'page-faults' }),
      () => ({ kind: 'page-response', fault: 1 + this.below(4), answer: this.pick(['success', 'invalid']) }),
      () => ({
        kind: 'model-page-request',
        bdf: PROBE,
        iova: this.pick([0x1_0000n, 0x7_0000n]),
        pages: 1 + this.below(3),
        access: 3,
        pasid: this.pick([NO_PASID, pasid(1)]),
        privileged: false,
        group: this.pick([undefined, 3]),
        last: this.below(3) > 0,
        stopMarker: this.below(6) === 0,
      }),
      () => ({ kind: 'clock-advance', ns: this.pick([1, 2, 6]) * MS, force: true }),
      () => ({ kind: 'function-unplug', bdf, surprise: this.below(2) === 0, deadlineNs: 5 * MS }),
    ];
  }

  token(): number {
    return ++this.#token;
  }
}

/** What a machine puts out for an input; a malformed command is one too. */
function give(machine: Machine, token: number, command: Command): readonly (Outgoing | string)[] {
  try {
    machine.submit(0, token, command);
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return [`${error.code} ${error.message}`, ...machine.takeOutbox()];
  }
  return machine.takeOutbox();
}

function whatOf(item: Outgoing): string {
  if (item.type === 'reply') return item.reply.kind;
  if (item.type !== 'event') return item.type;
  return item.event.kind === 'hotplug' ? `hotplug ${item.event.reason}` : item.event.kind;
}

function shown(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString('base64');
    return typeof inner === 'bigint' ? `${inner}n` : inner;
  });
}

it(`goes on as the machine that was never stopped, over ${HISTORIES} random histories`, { timeout: TIMEOUT_MS }, () => {
  const waiting = new Set<string>();
  const happened = new Set<string>();
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed);
    const { machine } = history;
    const before = history.below(BEFORE_MAX);
    for (let i = 0; i < before; i++) {
      for (const item of give(machine, history.token(), history.next())) if (typeof item !== 'string') happened.add(whatOf(item));
    }
    const file = encodeSnapshot(machine, VERSION);
    const twin = Machine.restore(decodeSnapshot(file, VERSION));
    expect(Buffer.compare(encodeSnapshot(twin, VERSION), file), `seed ${seed}: saved again`).toBe(0);
    expect(twin.takeOutbox()).toEqual([]);
    for (const { call, step } of machine.stopped()) waiting.add(`${call} before ${step}`);
    for (let i = 0; i < AFTER; i++) {
      const token = history.token();
      const command = history.next();
      const [want, got] = [shown(give(machine, token, command)), shown(give(twin, token, command))];
      if (want !== got || machine.traceHash !== twin.traceHash) {
        throw new Error(`seed ${seed}, saved after ${before}, ${i} later: ${shown(command)}\n${want}\n${got}`);
      }
    }
  }
  expect(waiting.size).toBeGreaterThan(10);
  for (const what of ['interrupt', 'intx', 'error', 'hotplug plugged', 'hotplug vf-enabled', 'hotplug surprise', 'error-recover'])
    expect(happened).toContain(what);
});

it("has no peers any more: what they had claimed is nobody's, and what they owed has ended", () => {
  for (let seed = 1; seed <= HISTORIES / 2; seed++) {
    const history = new History(seed);
    const { machine } = history;
    const owner = machine.peerAttach({ host: false, device: false, memory: true, observer: false });
    machine.submit(owner, history.token(), { kind: 'memory-claim', address: OWNED, bytes: 0x8000n, depth: history.pick([1, 2, 16]) });
    const device = machine.peerAttach({ host: false, device: true, memory: false, observer: false });
    machine.submit(device, history.token(), { kind: 'device-claim', bdf: REMOTE });
    for (let i = 0; i < BEFORE_MAX; i++) give(machine, history.token(), history.next());
    const twin = restored(machine);
    for (const id of [owner, device]) machine.peerDetach(id);
    expect(shown(twin.takeOutbox())).toBe(shown(machine.takeOutbox()));
    expect(twin.traceHash).toBe(machine.traceHash);
    for (let i = 0; i < AFTER; i++) {
      const token = history.token();
      const command = history.next();
      expect(shown(give(twin, token, command))).toBe(shown(give(machine, token, command)));
    }
    expect(twin.traceHash).toBe(machine.traceHash);
  }
});
