/**
 * Three parties in network namespaces of their own, on a network that delays, stalls, breaks, lets one overtake another, and whose links go down: outcomes are those
 * of a good one. Needs root and `ip`; without them it is skipped, and says so.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startMachine, type TestMachine } from '../../client/testing/index.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { Namespace, whyNoNamespaces } from '../kit/namespaces.ts';
import { PeerProcess } from '../kit/peer-process.ts';
import { Crossing, Relay, sequence } from '../kit/relay.ts';
import { PARTIES, tell, type Outcome, type Party, type Programs, type Stage } from '../kit/three-parties.ts';

/** The watchdog of a peer's answers is 30 s. */
const STATED_MS = 30_000;
const MARGIN_MS = 10_000;
/** On a machine that is busy. */
const WITHIN = { timeout: STATED_MS + MARGIN_MS, interval: 50 };
const STORY_MS = 60_000;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

const missing = whyNoNamespaces();
const isMissing = missing !== undefined;
if (isMissing) console.log(`note: no network namespaces here, their tests are skipped: ${missing}`);

type Each<T> = Readonly<Record<Party, T>>;
const each = <T>(of: (party: Party) => T): Each<T> => ({ emulator: of('emulator'), owner: of('owner'), host: of('host') });

/** What can happen to the network of one party. */
interface Weather {
  readonly relay: Relay;
  readonly place: Namespace;
}

/**
 * Happens to one party at the beginning of a stage; those that end do so by themselves, after some time. The connections of an emulator and of an owner that has a
 * write are not cut before its prepare, for then nobody knows what became of it, on no network.
 */
class Disturbance {
  readonly happened: string[] = [];
  readonly #parties: Each<Weather>;
  readonly #random: () => number;

  constructor(parties: Each<Weather>, seed: number) {
    this.#parties = parties;
    this.#random = sequence(seed);
  }

  at(stage: Stage): Promise<Party | undefined> {
    const party = this.#pick(PARTIES);
    const what = this.#pick(['nothing', 'stall', 'link', 'wait', 'cut'] as const);
    const { relay, place } = this.#parties[party];
    const forMs = 20 + this.#random() * 150;
    if (what === 'nothing' || (what === 'cut' && stage === 'prepare' && party !== 'host')) return Promise.resolve(undefined);
    this.happened.push(`${what} ${party}`);
    if (what === 'cut') {
      relay.cut();
      return Promise.resolve(party);
    }
    if (what === 'wait') {
      const other = this.#pick(PARTIES.filter((one) => one !== party));
      relay.after(this.#parties[other].relay, 1 + Math.floor(this.#random() * 400));
      setTimeout(() => relay.stall(false), forMs);
    } else if (what === 'stall') {
      relay.stall(true);
      setTimeout(() => relay.stall(false), forMs);
    } else {
      place.link('down');
      setTimeout(() => place.link('up'), forMs);
    }
    return Promise.resolve(undefined);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] ?? expect.unreachable('a sequence is below 1');
  }
}

let server: RunningServer;
let places: Each<Namespace>;
let programs: Programs;
let good: Outcome;
const happened = new Set<string>();
let overtaken = 0;

beforeAll(async () => {
  if (isMissing) return;
  server = await startServer({ host: '0.0.0.0', port: 0, logLevel: 'silent', insecure: true });
  places = each((party) => new Namespace(PARTIES.indexOf(party)));
  const [emulator, owner, host] = await Promise.all(PARTIES.map((party) => PeerProcess.start(places[party].within)));
  if (emulator === undefined || owner === undefined || host === undefined) return;
  programs = { emulator, owner, host };
  await using machine = await make();
  good = await tell({ machine, programs, urls: straight(machine), disturb: nothing });
}, STORY_MS);
afterAll(async () => {
  if (isMissing) return;
  await Promise.all(PARTIES.map((party) => programs[party][Symbol.asyncDispose]()));
  for (const party of PARTIES) places[party].remove();
  await server.close();
});

const nothing = (): Promise<undefined> => Promise.resolve(undefined);

function make(): Promise<TestMachine> {
  return startMachine({ url: `http://127.0.0.1:${new URL(server.url).port}` });
}

/** By its link, and nothing else. */
function straight({ socketUrl }: TestMachine): Each<string> {
  return each((party) => {
    const url = new URL(socketUrl);
    url.hostname = places[party].address;
    return url.href;
  });
}

async function relayed(machine: TestMachine, seed: number, crossing: Crossing): Promise<Each<Relay>> {
  const relays = await Promise.all(
    PARTIES.map(async (party, n) => {
      const options = { delayMs: seed % 6, pieceBytes: seed % 3 === 0 ? 40 : 2000, seed: 16 * seed + n, crossing };
      const relay = await Relay.to(machine.socketUrl, options, places[party].address);
      onTestFinished(() => relay[Symbol.asyncDispose]());
      return relay;
    }),
  );
  return each((party) => relays[PARTIES.indexOf(party)] ?? expect.unreachable('each has one'));
}

test.skipIf(isMissing)('a story has its outcome on a good network', () => {
  expect(good).toEqual({
    deeds: [
      ['open', ['performed', 'performed']],
      ['rogue', 'not-present'],
      ['before the fence is answered', { resetDepth: 0, gateOpen: false }],
      ['late', 'indeterminate'],
      ['prepare', { depth: 1, drained: 0, aborted: 0, indeterminate: 1 }],
      ['shut', ['gate-closed', 'gate-closed']],
      ['remap', undefined],
      ['done', { depth: 0 }],
      ['after', ['performed', 'performed']],
      ['reset', { method: 'flr', drained: 0, aborted: 0, indeterminate: 0 }],
      ['end', 'performed'],
    ],
    faults: ['not-present at 327680'],
    state: { resetDepth: 0, blocked: false, gateOpen: true, absent: false, busMaster: true, inFlight: 0 },
    mappings: [expect.any(BigInt), 0x8000_0000n, undefined],
    ledger: [],
    memory: ['open....', 'end.....', 'after...'],
  });
});

test.skipIf(isMissing).each(SEEDS)(
  'it has the same on a bad one (seed %i)',
  async (seed) => {
    await using machine = await make();
    const crossing = new Crossing({ seed, percent: 30, overtakers: 3, patienceMs: 15 });
    const relays = await relayed(machine, seed, crossing);
    const disturbance = new Disturbance(
      each((party) => ({ relay: relays[party], place: places[party] })),
      seed,
    );
    const urls = each((party) => relays[party].via(machine.socketUrl, places[party].address));
    const outcome = await tell({ machine, programs, urls, disturb: (stage) => disturbance.at(stage) });
    expect(outcome, disturbance.happened.join(', ')).toEqual(good);
    for (const what of disturbance.happened) happened.add(what);
    overtaken += crossing.overtaken;
  },
  STORY_MS,
);

test.skipIf(isMissing).each(PARTIES)(
  'where the connection of the %s ends while a prepare waits for a fence, the outcome does not depend on how',
  async (party) => {
    await using plain = await make();
    const leave = (): void => void programs[party].tell({ deed: 'leave', at: plain.id });
    const left = await tell({ machine: plain, programs, urls: straight(plain), disturb: nothing, ends: { party, by: leave } });
    for (const seed of [1, 2, 3]) {
      await using machine = await make();
      const relays = await relayed(machine, seed, new Crossing({ seed, percent: 30, overtakers: 3, patienceMs: 15 }));
      const urls = each((one) => relays[one].via(machine.socketUrl, places[one].address));
      const ends = { party, by: () => relays[party].cut() };
      expect(await tell({ machine, programs, urls, disturb: nothing, ends })).toEqual(left);
    }
    const answer = { depth: 1, drained: 0, aborted: 0, indeterminate: 1 };
    const answers = left.deeds.filter(([deed]) => deed === 'prepare').map(([, what]) => what);
    expect(answers).toEqual(party === 'host' ? ['ECONNRESET', answer] : [answer]);
    // All else is as if nothing had ended.
    const others = (deeds: Outcome['deeds']): Outcome['deeds'] => deeds.filter(([deed]) => deed !== 'prepare');
    expect({ ...left, deeds: others(left.deeds) }).toEqual({ ...good, deeds: others(good.deeds) });
  },
  STORY_MS,
);

test.skipIf(isMissing)('all that was to happen to the network has', () => {
  const all = ['stall', 'link', 'wait', 'cut'].flatMap((what) => PARTIES.map((party) => `${what} ${party}`));
  expect([...happened].toSorted()).toEqual(all.toSorted());
  expect(overtaken).toBeGreaterThan(SEEDS.length);
});

test.skipIf(isMissing)(
  'links that stay down hold a prepare up no longer than the watchdog says, and other machines not at all',
  async () => {
    await using machine = await make();
    await using other = await make();
    const [at, bdf] = [machine.id, '00:04.0'];
    const urls = straight(machine);
    await programs.emulator.tell({ deed: 'claim', at, url: urls.emulator, bdf });
    await programs.owner.tell({ deed: 'own', at, url: urls.owner, address: '0x80000000', slow: true });
    await programs.host.tell({ deed: 'host', at, url: urls.host });
    const dev = machine.function(bdf);
    await dev.dma.map({ iova: 0x10000, address: 0x8000_0000n, bytes: 4096, access: 'rw' });
    // Whoever writes may hear of it or not, by a link that is down.
    void programs.emulator.tell({ deed: 'write', at, iova: 0x10000, text: '!' }).catch(() => undefined);
    await expect.poll(() => dev.ledger(), WITHIN).toMatchObject([{ operation: 'write', point: 'sent' }]);
    for (const party of ['emulator', 'owner'] as const) places[party].link('down');
    const began = performance.now();
    const prepared = programs.host.tell({ deed: 'prepare', at, bdf, deadlineMs: 0 });
    await expect.poll(() => dev.ledger(), WITHIN).toMatchObject([{ point: 'indeterminate' }]);
    expect(await other.function('00:02.0').reset({ method: 'flr', deadlineMs: 1 })).toMatchObject({ method: 'flr' });
    expect(await prepared).toMatchObject({ depth: 1, indeterminate: 1 });
    // By the watchdog or by pings that nobody answers, and not because a connection was closed.
    expect(performance.now() - began).toBeGreaterThan(STATED_MS / 3);
    expect(await dev.info()).toMatchObject({ resetDepth: 1, blocked: true });
    await dev.resetDone({ all: true });
    expect(await dev.info()).toMatchObject({ resetDepth: 0 });
  },
  2 * STATED_MS + 3 * MARGIN_MS,
);
