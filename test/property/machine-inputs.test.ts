/** Whatever is asked of a machine, in whatever order: it never crashes, answers every call once, and lets nothing land in a window. */
import { expect, it } from 'vitest';
import { ModelError } from '../../server/src/core/base/index.ts';
import { Machine, graceOver, type Command, type Outgoing, type PeerAnswer, type PeerCall } from '../../server/src/core/machine/index.ts';
import { MS, PROBE, RAM, REMOTE, SIBLINGS, probe, remote, specOf } from '../kit/core-machine.ts';
import { ENTRIES, FUNCTIONS, OWNED, RandomCommands } from '../kit/random-commands.ts';

const HISTORIES = 150;
const TIMEOUT_MS = 120_000;
const INPUTS = 250;
interface Owed {
  readonly peer: number;
  readonly token: number;
  readonly call: PeerCall;
}

class History extends RandomCommands {
  readonly machine: Machine;
  readonly #unanswered = new Map<number, string>();
  readonly #owed: Owed[] = [];
  readonly #inWindow = new Set<number>();
  readonly landed: string[] = [];
  #copy: Uint8Array | undefined;
  compared = 0;
  #token = 0;
  owner = 0;
  device = 0;
  readonly log: string[] = [];

  constructor(seed: number) {
    super(seed);
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

  step(): void {
    const which = this.below(20);
    if (which === 0) this.comeOrGo();
    else if (which < 4) this.answer();
    else if (which === 4 && this.owner !== 0) this.note('timeout', () => this.machine.peerTimeout(this.owner));
    else if (which === 5) this.memory();
    else this.submit(0, this.command());
  }

  /** The end of a grace time; and the log of what is written. */
  memory(): void {
    const which = this.below(4);
    if (which === 0) {
      this.submit(0, graceOver(this.machine.absent()));
    } else if (which === 1) {
      const on = this.below(4) > 0;
      this.submit(0, { kind: 'dirty-log-set', on });
      this.#copy = on ? this.ram() : undefined;
    } else if (which === 2 && this.owner !== 0) {
      this.submit(this.owner, { kind: 'memory-dirty', ranges: [{ address: OWNED + BigInt(this.below(0x9000)), bytes: 1n }] });
    } else {
      this.compare();
    }
  }

  /** What differs from when the log was last read is in the log. */
  compare(): void {
    const copy = this.#copy;
    if (copy === undefined) return;
    const log = this.bytes({ kind: 'dirty-log-read', address: RAM, bytes: BigInt(copy.length), pageBytes: 4096n, clear: true });
    const now = this.ram();
    this.#copy = now;
    if (now === undefined) return;
    for (let page = 0; page < copy.length / 4096; page++) {
      const same = Buffer.compare(copy.subarray(page * 4096, (page + 1) * 4096), now.subarray(page * 4096, (page + 1) * 4096)) === 0;
      if (!same && ((log[page >> 3]! >> (page & 7)) & 1) === 0) this.landed.push(`page ${page} was written, and not logged`);
    }
    this.compared++;
  }

  /** Undefined where a fault on purpose is in the way. */
  ram(): Uint8Array | undefined {
    const data = this.bytes({ kind: 'memory-read', address: RAM, bytes: 0x10_0000 });
    return data.length === 0 ? undefined : data;
  }

  bytes(command: Command): Uint8Array {
    const token = ++this.#token;
    this.#unanswered.set(token, command.kind);
    let data: Uint8Array = new Uint8Array(0);
    this.machine.submit(0, token, command);
    for (const item of this.machine.takeOutbox()) {
      if (item.type === 'reply' && item.token === token && item.reply.kind === 'memory-read') ({ data } = item.reply);
      this.take(item);
    }
    return data;
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
}

function shortly(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  return typeof value === 'bigint' ? `${value}n` : value;
}

it(
  `holds over ${HISTORIES} random histories of ${INPUTS} inputs, with a memory owner and a remote function that come and go`,
  { timeout: TIMEOUT_MS },
  () => {
    let compared = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = new History(seed);
      try {
        for (let i = 0; i < INPUTS; i++) history.step();
        history.finish();
        expect(history.landed).toEqual([]);
        expect(history.outstanding).toEqual([]);
        compared += history.compared;
      } catch (error) {
        throw new Error(
          `seed ${seed} (${history.machine.spec.behaviour}, ${history.machine.spec.clock}), after\n${history.log.slice(-12).join('\n')}`,
          { cause: error },
        );
      }
    }
    expect(compared).toBeGreaterThan(HISTORIES);
  },
);
