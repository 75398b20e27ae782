/**
 * Design §6: when unmap has replied, its page may be given away. Here it is, at once, and whoever gets it must keep what he writes: over random
 * histories of one function that maps, writes with and without translated addresses, is attached elsewhere, reset, and late with its answers.
 */
import { expect, it } from 'vitest';
import { Prng } from '../../server/src/core/base/index.ts';
import { CoreMachine, PROBE, type Pending } from '../kit/core-machine.ts';

const HISTORIES = 250;
const STEPS = 80;
const IOVAS = [0x1_0000, 0x1_1000];
const PASID = 5;
const THEIRS = 'MINE!';

class History {
  readonly #chance: Prng;
  readonly m = new CoreMachine({ clock: 'manual' });
  readonly #domains = [this.m.allocDomain(), this.m.allocDomain()];
  /** By domain and IOVA. */
  readonly #mapped = new Map<string, bigint>();
  readonly #unmapping: { readonly unmap: Pending; readonly page: bigint }[] = [];
  readonly given: bigint[] = [];
  readonly log: string[] = [];

  constructor(seed: number) {
    this.#chance = new Prng(seed);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.#chance.below(from.length)]!;
  }

  step(): void {
    this.pick(this.#steps)();
    this.#giveAway();
    for (const page of this.given) {
      const text = this.m.text(page, THEIRS.length);
      if (text !== THEIRS) expect(text, `page ${page.toString(16)}`).toBe(THEIRS);
    }
  }

  readonly #steps: readonly (() => void)[] = [
    () => this.#map(),
    () => this.#map(),
    () => this.#write(),
    () => this.#write(),
    () => this.#write(),
    () => this.#unmap(),
    () => this.#unmap(),
    () => this.#release(),
    () => this.#say('attach', () => this.m.start(this.m.attach(PROBE, this.pick(this.#domains)))),
    () => this.#say('pasid', () => this.m.start(this.m.attachPasid(PROBE, PASID, this.pick(this.#domains), this.pick([true, false])))),
    () => this.#say('pasid detach', () => this.m.start(this.m.detachPasid(PROBE, PASID))),
    () => this.#say('prepare', () => this.m.startPrepare(PROBE, 'w', { deadlineMs: this.pick([0, 5, 2000]) })),
    () => this.#say('done', () => this.m.start({ kind: 'reset-done', bdf: PROBE, token: 'w', all: false })),
    () =>
      this.#say('late', () =>
        this.m.arm(PROBE, this.pick(['late-invalidations', 'ignore-invalidations']), { delayMs: this.pick([2, 1500]) }),
      ),
    () => this.#advance(),
  ];

  #say(what: string, act: () => unknown): void {
    this.log.push(what);
    act();
  }

  #map(): void {
    const domain = this.pick(this.#domains);
    const iova = this.pick(IOVAS);
    if (this.#mapped.has(`${domain} ${iova}`)) return;
    const page = this.m.allocPage();
    this.#say(`map ${domain} ${iova.toString(16)} to ${page.toString(16)}`, () => this.m.map({ domain }, iova, page));
    this.#mapped.set(`${domain} ${iova}`, page);
  }

  #write(): void {
    const hold = this.pick([undefined, 'issued', 'translated'] as const);
    const translated = this.pick([true, false]);
    const pasid = this.pick([{}, { pasid: PASID }]);
    const iova = this.pick(IOVAS);
    this.#say(`write ${iova.toString(16)} ${hold ?? 'now'} ${translated ? 'translated' : ''} ${JSON.stringify(pasid)}`, () =>
      this.m.write(PROBE, iova, 'STALE', { hold, translated, ...pasid }),
    );
  }

  #unmap(): void {
    const [key, page] = this.pick([...this.#mapped, ['', 0n] as const]);
    if (key === '') return;
    this.#mapped.delete(key);
    const [domain, iova] = key.split(' ').map(Number);
    this.#say(`unmap ${key}`, () => this.#unmapping.push({ unmap: this.m.startUnmap({ domain: domain! }, iova!), page }));
  }

  #release(): void {
    this.#say('release', () => this.m.start({ kind: 'dma-release', bdf: PROBE, request: 0 }));
  }

  #advance(): void {
    const ms = this.pick([1, 10, 400, 1000]);
    this.#say(`advance ${ms}`, () => this.m.advance(ms));
  }

  /** What has been unmapped is written by somebody else. Not freed: `memory-free` would look for itself whether it may be. */
  #giveAway(): void {
    for (const [i, { unmap, page }] of [...this.#unmapping.entries()].reverse()) {
      if (unmap.reply === undefined) continue;
      this.#unmapping.splice(i, 1);
      this.m.call('ok', { kind: 'memory-write', address: page, data: new TextEncoder().encode(THEIRS) });
      this.given.push(page);
    }
  }
}

it(`nothing lands in a page that was given away, over ${HISTORIES} histories of ${STEPS} steps in strict`, { timeout: 120_000 }, () => {
  let given = 0;
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const history = new History(seed);
    try {
      for (let i = 0; i < STEPS; i++) history.step();
    } catch (error) {
      throw new Error(`seed ${seed}, after\n${history.log.slice(-30).join('\n')}`, { cause: error });
    }
    given += history.given.length;
  }
  expect(given).toBeGreaterThan(HISTORIES);
});
