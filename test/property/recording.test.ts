/** Whatever a machine was asked, by whom and in whatever order: its recording replays without a difference, wherever it began. */
import { expect, it } from 'vitest';
import { BODY, type CallName } from '../../proto/index.ts';
import { PROBE, REMOTE, SIBLINGS, probe, remote, specOf } from '../kit/core-machine.ts';
import { FUNCTIONS, OWNED, RandomCommands } from '../kit/random-commands.ts';
import { RecordedMachine, replayed, settle } from '../kit/recorded-machine.ts';
import { EXAMPLES, EXAMPLE_NAMES } from '../unit/rpc/calls.ts';
import type { Got, RawPeer } from '../unit/rpc/raw-peer.ts';

const HISTORIES = 45;
const TIMEOUT_MS = 300_000;
const INPUTS = 200;
const OWNED_HALVES = { low: Number(OWNED), high: 0 };

class History extends RandomCommands {
  readonly recorded: RecordedMachine;
  readonly #peers: { readonly peer: RawPeer; answered: number }[] = [];
  #id = 1;

  constructor(seed: number) {
    super(seed);
    this.recorded = new RecordedMachine(
      specOf({
        behaviour: this.pick(['strict', 'linux-7.1', 'linux-7.0']),
        clock: this.pick(['auto', 'manual', 'real']),
        functions: [probe(PROBE), ...SIBLINGS, remote(REMOTE)],
      }),
    );
  }

  async step(): Promise<void> {
    const which = this.below(20);
    if (which === 0) await this.comeOrGo();
    else if (which < 4) this.call();
    else if (which < 7) this.answer();
    else this.recorded.own(this.command());
    if (this.below(4) === 0) await settle();
  }

  async comeOrGo(): Promise<void> {
    if (this.#peers.length === 4 || (this.#peers.length > 0 && this.below(4) === 0)) {
      const [gone] = this.#peers.splice(this.below(this.#peers.length), 1);
      gone?.peer.close();
      return;
    }
    const role = this.pick(['memory', 'device', 'host', 'observer'] as const);
    const peer = await this.recorded.join(role);
    this.#peers.push({ peer, answered: 0 });
    if (role === 'memory')
      peer.call(++this.#id, 'memoryClaim', { address: OWNED_HALVES, bytes: { low: 0x8000, high: 0 }, depth: 2 }).send();
    if (role === 'device') peer.call(++this.#id, 'deviceClaim', { function: REMOTE }).send();
  }

  /** Any call of the contract, mostly of a function that is there; what the connection may not ask is refused, and that is recorded too. */
  call(): void {
    if (this.#peers.length === 0) return;
    const { peer } = this.pick(this.#peers);
    const name: CallName = this.pick(EXAMPLE_NAMES);
    const { body, data } = EXAMPLES[name];
    const there = 'function' in body && this.below(4) > 0 ? { ...body, function: this.pick(FUNCTIONS) } : body;
    peer.call(this.below(8) === 0 ? 0 : ++this.#id, name, there, data).send();
  }

  answer(): void {
    for (const owing of this.#peers) {
      const call = owing.peer.calls()[owing.answered];
      if (call === undefined) continue;
      owing.answered++;
      this.#answerTo(owing.peer, call);
    }
  }

  #answerTo(peer: RawPeer, call: Got): void {
    const how = this.below(30);
    if (this.below(8) === 0) peer.reply(call.id, 'error', { code: 5, name: 'EIO', message: 'no' });
    // Wrong answers: too few bytes, the reply to another call, a reply to none, a body that is in no contract.
    else if (how === 0) peer.reply(call.id, 'memoryReadReply', {}, Uint8Array.of(1));
    else if (how === 1) peer.reply(call.id, 'dmaMapReply');
    else if (how === 2) peer.reply(call.id + 1000, 'memoryWriteReply');
    else if (how === 3) peer.sendBytes(Uint8Array.of(0x0a, 7, 0x08, call.id & 0x7f, 0x10, 2, 0xa2, 0x38, 0));
    else if (call.number === BODY.memoryRead) {
      const data = new Uint8Array(Number(call.body['bytes'])).fill(this.below(256));
      peer.reply(call.id, 'memoryReadReply', {}, data);
    } else if (call.number === BODY.regionRead) peer.reply(call.id, 'regionReadReply', { value: { low: 1, high: 0 } });
    else if (call.number === BODY.memoryWrite) peer.reply(call.id, 'memoryWriteReply');
    else if (call.number === BODY.memoryFence) peer.reply(call.id, 'memoryFenceReply');
    else if (call.number === BODY.regionWrite) peer.reply(call.id, 'regionWriteReply');
    else peer.reply(call.id, 'deviceResetReply');
    peer.send();
  }
}

it(
  'replays with the same outputs and the same trace hash',
  async () => {
    let outputs = 0;
    let beganLater = 0;
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = new History(seed);
      const { machine, host } = history.recorded;
      const from = seed % 3 === 0 ? 0 : history.below(INPUTS);
      for (let i = 0; i < from; i++) await history.step();
      const recording = history.recorded.record();
      for (let i = 0; i < INPUTS; i++) await history.step();
      await settle();
      const read = recording.stop();
      const { difference, ...sums } = replayed(read);
      expect(difference, `seed ${seed}, recorded from input ${from}`).toBeUndefined();
      expect(sums).toMatchObject({ inputs: read.end?.inputs, traceHash: machine.traceHash, nowNs: machine.nowNs });
      expect(sums.inputs).toBeGreaterThan(INPUTS / 2);
      expect(host.state).toBe('open');
      expect(read.start.state === undefined).toBe(from === 0);
      outputs += sums.outputs;
      if (read.start.peers.length > 0) beganLater++;
      host.close();
    }
    expect(outputs).toBeGreaterThan((HISTORIES * INPUTS) / 2);
    expect(beganLater).toBeGreaterThan(HISTORIES / 3);
  },
  TIMEOUT_MS,
);
