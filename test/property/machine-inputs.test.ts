/** Whatever is asked of a machine, in whatever order: it never crashes, answers every call once, and lets nothing land in a window. */
import { expect, it } from 'vitest';
import { ModelError, NO_PASID, Prng, pasid } from '../../server/src/core/base/index.ts';
import { Machine, type Command, type Outgoing, type PeerAnswer, type PeerCall } from '../../server/src/core/machine/index.ts';
import { FIRST, MS, PROBE, RAM, REMOTE, SECOND, SIBLINGS, probe, remote, specOf } from '../kit/core-machine.ts';

const HISTORIES = 150;
const TIMEOUT_MS = 120_000;
const INPUTS = 250;
const FUNCTIONS = [PROBE, FIRST, SECOND, REMOTE];
const OWNED = 0x4000_0000n;
/** Page tables that the owner has: x86-64 entries that lead back there, that map, and that map 2 MiB or 1 GiB. */
const TABLES = OWNED + 0x4000n;
const ENTRIES = [TABLES | 0x27n, TABLES | 0x27n, TABLES | 0x27n, RAM | 0x67n, 0xe7n];
const REGISTERS = [0x04, 0x06, 0x08, 0x0c, 0x10, 0x14, 0x3c, 0x44, 0x48, 0x4a, 0x104, 0x106];

type ModelDma = Extract<Command, { kind: 'model-dma' }>;

interface Owed {
  readonly peer: number;
  readonly token: number;
  readonly call: PeerCall;
}

class History {
  readonly #chance: Prng;
  readonly machine: Machine;
  readonly #unanswered = new Map<number, string>();
  readonly #owed: Owed[] = [];
  readonly #inWindow = new Set<number>();
  readonly landed: string[] = [];
  #token = 0;
  owner = 0;
  device = 0;
  readonly log: string[] = [];

  constructor(seed: number) {
    this.#chance = new Prng(seed);
    this.machine = new Machine(
      specOf({
        behaviour: this.pick(['strict', 'linux-7.1', 'linux-7.0']),
        clock: this.pick(['auto', 'manual']),
        functions: [probe(PROBE), ...SIBLINGS, remote(REMOTE)],
      }),
    );
    this.machine.trace.listen((record) => {
      // An Invalidate Completion is a message: it has no page, and no window stops it. Linux does not drain.
      if (this.machine.spec.behaviour !== 'strict') return;
      const lands = record.kind === 'interrupt' || (record.kind === 'dma-performed' && record.c >= 0);
      if (lands && this.#inWindow.has(record.a)) this.landed.push(`function ${record.a} at ${record.timeNs}`);
    });
  }

  get outstanding(): readonly string[] {
    return [...this.#unanswered.values()];
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#chance.below(from.length)]!;
  }

  below(bound: number): number {
    return this.#chance.below(bound);
  }

  step(): void {
    const which = this.below(20);
    if (which === 0) this.comeOrGo();
    else if (which < 4) this.answer();
    else if (which === 4 && this.owner !== 0) this.note('timeout', () => this.machine.peerTimeout(this.owner));
    else this.submit(0, this.command());
  }

  comeOrGo(): void {
    if (this.owner === 0) {
      this.owner = this.machine.peerAttach({ host: false, device: false, memory: true, observer: false });
      this.submit(this.owner, { kind: 'memory-claim', address: OWNED, bytes: 0x8000n, depth: this.pick([1, 2, 16]) });
    } else if (this.device === 0) {
      this.device = this.machine.peerAttach({ host: false, device: true, memory: false, observer: false });
      this.submit(this.device, { kind: 'device-claim', bdf: REMOTE });
    } else if (this.below(2) === 0) {
      this.gone(this.owner);
      this.owner = 0;
    } else {
      this.gone(this.device);
      this.device = 0;
    }
  }

  gone(peer: number): void {
    for (const token of this.#unanswered.keys()) {
      if (this.#unanswered.get(token)!.startsWith(`${peer} `)) this.#unanswered.delete(token);
    }
    for (let i = this.#owed.length - 1; i >= 0; i--) if (this.#owed[i]!.peer === peer) this.#owed.splice(i, 1);
    this.note(`gone ${peer}`, () => this.machine.peerDetach(peer));
  }

  /** Pays an old debt, not always the oldest, now and then with an error. */
  answer(): void {
    if (this.#owed.length === 0) return;
    const [{ peer, token, call }] = this.#owed.splice(this.below(Math.min(3, this.#owed.length)), 1) as [Owed];
    this.note(`answer ${call.kind}`, () => this.machine.answer(peer, token, this.answerTo(call)));
  }

  answerTo(call: PeerCall): PeerAnswer {
    if (this.below(8) === 0) return { kind: 'error', code: 'EIO', message: 'no' };
    if (call.kind === 'memory-read') {
      const data = new Uint8Array(call.bytes);
      if (call.bytes === 8 && this.below(4) > 0) new DataView(data.buffer).setBigUint64(0, this.pick(ENTRIES), true);
      return { kind: 'data', data };
    }
    if (call.kind === 'region-read') return { kind: 'value', valueLow: 1, valueHigh: 0 };
    return { kind: 'ok' };
  }

  submit(peer: number, command: Command): void {
    const token = ++this.#token;
    this.#unanswered.set(token, `${peer} ${command.kind}`);
    this.note(`${peer} ${JSON.stringify(command, shortly)}`, () => {
      try {
        this.machine.submit(peer, token, command);
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        this.#unanswered.delete(token);
      }
    });
  }

  note(what: string, act: () => void): void {
    this.log.push(what);
    act();
    for (const item of this.machine.takeOutbox()) this.take(item);
  }

  take(item: Outgoing): void {
    if (item.type === 'call') this.#owed.push({ peer: item.to, token: item.token, call: item.call });
    else if (item.type === 'event' && item.event.kind === 'window') {
      if (item.event.open) this.#inWindow.add(item.event.bdf);
      else this.#inWindow.delete(item.event.bdf);
    } else if (item.type === 'reply') {
      expect(this.#unanswered.delete(item.token), `reply ${item.token} answers a call once`).toBe(true);
    }
  }

  /** Everything that can end is let to end. */
  finish(): void {
    for (const bdf of FUNCTIONS) this.submit(0, { kind: 'dma-release', bdf, request: 0 });
    for (let round = 0; round < 400 && this.outstanding.length > 0; round++) {
      while (this.#owed.length > 0) this.answer();
      for (const bdf of FUNCTIONS) if (round % 8 === 0) this.submit(0, { kind: 'dma-release', bdf, request: 0 });
      if (this.machine.spec.clock === 'manual') this.submit(0, { kind: 'clock-advance', ns: 100_000 * MS, force: true });
    }
  }

  // long: one way to draw each kind of command
  command(): Command {
    const bdf = this.pick(FUNCTIONS);
    const target = this.below(4) === 0 ? { domain: this.below(14) } : { bdf, pasid: this.pick([NO_PASID, pasid(1), pasid(2)]) };
    const iova = this.pick([0x1_0000n, 0x1_1000n, 0x20_0000n, 0xfee0_0000n, 0x7fff_ffff_f000n, 0xffff_8000_0000_0000n]);
    const low = Number(BigInt.asIntN(32, iova)) + this.pick([0, 0, 4, 0xff0]);
    const high = Number(BigInt.asIntN(32, iova >> 32n));
    const address = this.pick([RAM, RAM + 0x1000n, OWNED, OWNED + 0x1000n, 0x5000_0000n, 1n << 51n]);
    const token = this.pick(['a', 'b']);
    const onDeadline = this.pick(['abort', 'fail'] as const);
    const deadlineNs = this.pick([0, 1, 10, 2000]) * MS;
    const data = new Uint8Array(this.pick([1, 8, 4096, 9000]));
    const hold = this.pick([undefined, undefined, 'issued', 'translated', 'performed'] as const);
    const holdNs = this.pick([0, 5 * MS]);
    const dma = (fields: Pick<ModelDma, 'operation' | 'bytes'> & Partial<ModelDma>): Command => ({
      kind: 'model-dma',
      bdf,
      iovaLow: low,
      iovaHigh: high,
      data: undefined,
      pasid: NO_PASID,
      translated: this.below(2) === 0,
      hold,
      holdNs,
      ...fields,
    });
    const makers: (() => Command)[] = [
      () => ({ kind: 'map', target, iova, address, bytes: this.pick([4096n, 0x2000n, 0x20_0000n]), access: this.pick([1, 2, 3]) }),
      () => ({ kind: 'map', target: { bdf, pasid: NO_PASID }, iova, address, bytes: 4096n, access: 3 }),
      () => ({ kind: 'unmap', target, iova, bytes: this.pick([4096n, 0x2000n, 0x20_0000n]) }),
      () => ({ kind: 'iova-to-phys', target, iova }),
      () => ({ kind: 'domain-alloc', type: this.pick(['paging', 'identity', 'blocked']), sharedAddress: this.below(2) === 0 }),
      () => ({ kind: 'domain-alloc', type: 'paging', sharedAddress: false, root: TABLES }),
      () => ({ kind: 'domain-free', domain: this.below(14) }),
      () => ({ kind: 'domain-attach', bdf, domain: this.below(14) }),
      () => ({ kind: 'domain-detach', bdf }),
      () => ({ kind: 'pasid-attach', bdf, pasid: this.pick([pasid(1), pasid(2)]), domain: this.below(14), replace: this.below(2) === 0 }),
      () => ({ kind: 'pasid-detach', bdf, pasid: this.pick([pasid(1), pasid(2)]) }),
      () => ({ kind: this.pick(['owner-claim', 'owner-release']), bdf }),
      () => dma({ operation: 'write', bytes: data.length, data, pasid: this.pick([NO_PASID, NO_PASID, pasid(1)]) }),
      () => dma({ operation: 'read', bytes: data.length }),
      () => dma({ operation: 'translate', bytes: 4096, iovaLow: low & ~0xfff, pasid: this.pick([NO_PASID, pasid(1)]), translated: false }),
      () => dma({ operation: 'fetch-add', bytes: 8, iovaLow: low & ~7, data: new Uint8Array(8) }),
      () => ({ kind: 'dma-release', bdf, request: this.below(3) }),
      () => ({ kind: 'ledger', bdf }),
      () => ({ kind: 'reset-prepare', bdf, token, deadlineNs, onDeadline }),
      () => ({ kind: 'reset-done', bdf, token, all: this.below(4) === 0 }),
      () => ({ kind: 'reset', bdf, method: this.pick(['flr', 'pm'] as const), window: this.below(3) > 0, deadlineNs, onDeadline }),
      () => ({ kind: 'reset-trigger', bdf, method: 'flr' }),
      () => ({
        kind: 'fault-arm',
        bdf,
        fault: this.pick([
          'hold',
          'ignore-invalidations',
          'late-invalidations',
          'atc-survives-reset',
          'never-ready',
          'attach-fails',
          'coalesced-completions',
          'late-completions',
          'duplicate-completions',
          'wrong-itag',
          'corrupt-completions',
          'poisoned-data',
          'surprise-down',
        ] as const),
        fromNs: this.pick([undefined, 5 * MS]),
        first: 1 + this.below(2),
        count: this.below(3),
        point: this.pick(['issued', 'translated', 'performed'] as const),
        delayNs: this.pick([0, 3 * MS, 2000 * MS]),
      }),
      () => ({
        kind: 'fault-arm',
        bdf: this.pick([bdf, undefined]),
        fault: this.pick(['memory-errors', 'memory-stalls'] as const),
        first: 1 + this.below(2),
        count: 1 + this.below(2),
        point: undefined,
        delayNs: this.pick([0, 3 * MS, 2000 * MS]),
        range: { address: 0n, bytes: 1n << 40n },
        error: this.pick(['unsupported-request', 'completer-abort', 'poisoned'] as const),
      }),
      () => ({ kind: 'fault-list' }),
      () => ({
        kind: 'fault-disarm',
        bdf,
        fault: this.pick([
          'hold',
          'ignore-invalidations',
          'never-ready',
          'coalesced-completions',
          'surprise-down',
          'memory-stalls',
        ] as const),
      }),
      () => ({ kind: 'clock-advance', ns: this.pick([0, 1, 100, 5000]) * MS, force: this.below(2) === 0 }),
      () => ({
        kind: 'region-write',
        bdf,
        region: 7,
        offset: this.pick(REGISTERS),
        bytes: 2,
        valueLow: this.below(0x1_0000),
        valueHigh: 0,
      }),
      () => ({ kind: 'region-read', bdf, region: this.pick([0, 7]), offset: 4 * this.below(16), bytes: 4 }),
      () => ({ kind: 'memory-alloc', bytes: 0x1000n }),
      () => ({ kind: 'memory-free', address: RAM + 0x1000n * BigInt(this.below(4)) }),
      () => ({ kind: 'memory-write', address, data }),
      () => ({ kind: 'memory-read', address, bytes: data.length }),
      () => ({ kind: this.pick(['function-list', 'machine-info', 'fault-records']) }),
      () => ({ kind: this.pick(['function-info', 'group-info']), bdf }),
    ];
    return this.pick(makers)();
  }
}

function shortly(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  return typeof value === 'bigint' ? `${value}n` : value;
}

it(
  `holds over ${HISTORIES} random histories of ${INPUTS} inputs, with a memory owner and a remote function that come and go`,
  { timeout: TIMEOUT_MS },
  () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = new History(seed);
      try {
        for (let i = 0; i < INPUTS; i++) history.step();
        history.finish();
        expect(history.landed).toEqual([]);
        expect(history.outstanding).toEqual([]);
      } catch (error) {
        throw new Error(
          `seed ${seed} (${history.machine.spec.behaviour}, ${history.machine.spec.clock}), after\n${history.log.slice(-12).join('\n')}`,
          { cause: error },
        );
      }
    }
  },
);
