/** Plays the table of deaths. A cell has a machine of its own; one victim takes part in those of all steps, so that it dies at each of them at once. */
import type { FunctionHandle, Role } from '../../client/src/index.ts';
import { startMachine, type TestMachine } from '../../client/testing/index.ts';
import { SERVER, start } from '../interop/cli-process.ts';
import { POINTS, VICTIMS, type Played, type Point, type Victim } from './deaths.ts';
import { PeerError, PeerProcess, countOf, until } from './peer-process.ts';

const BDF = '00:05.0';
const TOPOLOGY = {
  schema: 'iommud.topology/v1',
  memory: [{ address: '0x10000000', size: '16MiB' }],
  functions: [{ address: BDF, model: 'remote', capabilities: { flr: true, ats: { queueDepth: 4 }, pasid: { width: 8 } } }],
};
const OWNED = 0x8000_0000n;
const OWNED_IOVA = 0x20000;
const RAM_IOVA = 0x30000;
const PAGE = 4096;
/** Bus Master and memory, and no INTx. */
const COMMAND = 0x0406;
const TEXT = 'here';

type Part = 'emulator' | 'owner' | 'host';
type Cast = Record<Part, PeerProcess>;
const ROLE = { emulator: 'device', owner: 'memory', host: 'host' } as const;

const partOf = (victim: Victim): Part => (victim === 'emulator, back at once' ? 'emulator' : victim);

/** Every cell, on a service of its own. */
export async function playDeaths(): Promise<readonly Played[]> {
  const { url, child, ended } = await start([...SERVER, '--listen', '127.0.0.1:0', '--log-level', 'error', '--exit-with-stdin']);
  try {
    return await playAt(url);
  } finally {
    child.stdin.end();
    await ended;
  }
}

/** `beside`: a machine with a dma-probe that has nothing to do with any of it. */
async function playAt(url: string): Promise<readonly Played[]> {
  await using beside = await startMachine({ url });
  const [emulator, owner, host] = await Promise.all([PeerProcess.start(), PeerProcess.start(), PeerProcess.start()]);
  const cast: Cast = { emulator, owner, host };
  const played: Played[] = [];
  try {
    for (const victim of VICTIMS) {
      const [next, stages] = await Promise.all([
        // Nobody takes the place of a host: a watcher ends the window.
        victim === 'host' ? host : PeerProcess.start(),
        Promise.all(POINTS.map((point) => Stage.raise(url, victim, point, cast))),
      ]);
      await allOf(stages.map((stage) => stage.told(stage.comeTo())));
      await cast[partOf(victim)].kill();
      cast[partOf(victim)] = next;
      played.push(...(await allOf(stages.map((stage) => stage.told(stage.end(beside))))));
    }
  } finally {
    await Promise.all(Object.values(cast).map((process) => process[Symbol.asyncDispose]()));
  }
  return played;
}

class Stage {
  readonly #m: TestMachine;
  readonly #victim: Victim;
  readonly #point: Point;
  readonly #cast: Cast;
  readonly #dev: FunctionHandle;
  readonly #pages: readonly [bigint, bigint];
  #inFlight: Promise<string> = Promise.resolve('');
  #answer: Promise<string> = Promise.resolve('');
  #release: () => Promise<void> = () => Promise.resolve();

  private constructor(m: TestMachine, victim: Victim, point: Point, cast: Cast, pages: readonly [bigint, bigint]) {
    this.#m = m;
    this.#victim = victim;
    this.#point = point;
    this.#cast = cast;
    this.#dev = m.function(BDF);
    this.#pages = pages;
  }

  /** A machine with the three in it: the function has a translation cached, a PASID, and two pages. */
  static async raise(url: string, victim: Victim, point: Point, cast: Cast): Promise<Stage> {
    const m = await startMachine({ url, topology: TOPOLOGY });
    const at = m.id;
    await Promise.all([
      cast.emulator.tell({ deed: 'claim', at, url: m.socketUrl, bdf: BDF }),
      cast.owner.tell({ deed: 'own', at, url: m.socketUrl, address: String(OWNED), slow: true }),
      cast.host.tell({ deed: 'host', at, url: m.socketUrl }),
    ]);
    const { address } = await m.memory.alloc(2 * PAGE);
    const dev = m.function(BDF);
    await dev.config.write(4, 2, COMMAND);
    await dev.dma.map({ iova: OWNED_IOVA, address: OWNED, bytes: PAGE, access: 'rw' });
    await dev.dma.map({ iova: RAM_IOVA, address, bytes: PAGE, access: 'rw' });
    await dev.pasid(7).attach(await m.domains.alloc());
    await cast.emulator.tell({ deed: 'translate', at, iova: RAM_IOVA });
    return new Stage(m, victim, point, cast, [address, address + BigInt(PAGE)]);
  }

  /** The same, and what it throws says where. */
  async told<T>(work: Promise<T>): Promise<T> {
    return work.catch((error: unknown) => {
      throw new Error(`the ${this.#victim} dies before ${this.#point.step} of ${this.#point.call}: ${String(error)}`, { cause: error });
    });
  }

  /** The window comes to where the victim is to die. */
  async comeTo(): Promise<void> {
    const { call, step } = this.#point;
    this.#inFlight = said(this.#cast.emulator.tell({ deed: 'write', at: this.#m.id, iova: OWNED_IOVA, text: TEXT }));
    await this.#ledgerIs('sent');
    if (call === 'prepare' && step !== 'fence') await this.#hold('prepare', step);
    const prepared = said(this.#cast.host.tell({ deed: 'prepare', at: this.#m.id, bdf: BDF, deadlineMs: 0 }));
    if (call === 'prepare') this.#answer = prepared;
    // The write is aborted at once, and its owner's fence awaited before anything else is done.
    if (this.#waitsForFence()) await (step === 'fence' ? this.#ledgerIs('indeterminate') : this.#isHeld());
    else await this.#openOn(prepared);
  }

  /** Up to the step behind the drain its owner has the write. */
  #waitsForFence(): boolean {
    const { call, step } = this.#point;
    return call === 'prepare' && POINTS.findIndex((one) => one.step === step) <= POINTS.findIndex((one) => one.step === 'drained');
  }

  /** The owner answers; in the open window a mapping is changed. */
  async #openOn(prepared: Promise<string>): Promise<void> {
    await this.#ledgerIs('indeterminate');
    await this.#cast.owner.tell({ deed: 'let-go', at: this.#m.id });
    if (this.#point.call === 'prepare') return this.#isHeld();
    await prepared;
    await this.#remap();
    if (this.#point.call === 'window') return;
    await this.#hold('done', this.#point.step);
    this.#answer = said(this.#cast.host.tell({ deed: 'done', at: this.#m.id, bdf: BDF }));
    await this.#isHeld();
  }

  /** Somebody is dead: what the others see, up to the end of the window by another host. */
  async end(beside: TestMachine): Promise<Played> {
    const { call, step } = this.#point;
    const part = partOf(this.#victim);
    await this.#isGone(ROLE[part]);
    const { method } = await beside.function('00:02.0').reset({ method: 'flr', deadlineMs: 1 });
    if (this.#victim === 'emulator, back at once') await this.#comeBack();
    const isShut = call !== 'prepare' || POINTS.findIndex((one) => one.step === step) > POINTS.findIndex((one) => one.step === 'gate');
    const standing = isShut && this.#victim !== 'emulator' ? await this.#write(RAM_IOVA, 'not!') : '';
    await this.#release();
    if (part !== 'owner') await this.#cast.owner.tell({ deed: 'let-go', at: this.#m.id });
    const answer = await this.#answer;
    await until(async () => (await this.#dev.info()).resetDepth === (call === 'done' ? 0 : 1), `a window of ${call} ${step}`);
    if (this.#victim === 'emulator') await this.#comeBack();
    const resets = part === 'emulator' ? await this.#isReset(call === 'done' ? 0 : 1) : [];
    const shut = call === 'done' ? '' : await this.#state();
    const shutDma = call === 'done' ? [] : [await this.#write(RAM_IOVA, 'not!'), await this.#write(OWNED_IOVA, 'not!')];
    if (call === 'prepare') await this.#remap();
    const host = await this.#m.connect(['host']);
    await host.machine.function(BDF).resetDone({ all: true });
    const ended = await this.#state();
    const after = await this.#afterwards(part);
    const pages = await Promise.all(this.#pages.map(async (page) => words(await this.#m.memory.read(page, TEXT.length))));
    const left = (await this.#dev.ledger()).length;
    const inFlight = await this.#inFlight;
    await this.#m.close();
    const seen = { inFlight, answer, beside: method ?? '', standing, shut, shutDma, resets, ended, after, pages, left };
    return { victim: this.#victim, point: this.#point, seen };
  }

  async #afterwards(part: Part): Promise<readonly string[]> {
    const seen = [await this.#write(RAM_IOVA, TEXT), await this.#write(OWNED_IOVA, TEXT)];
    if (part !== 'owner') return seen;
    await this.#cast.owner.tell({ deed: 'own', at: this.#m.id, url: this.#m.socketUrl, address: String(OWNED), slow: false });
    return [...seen, await this.#write(OWNED_IOVA, TEXT)];
  }

  async #hold(call: string, step: string): Promise<void> {
    const hold = await this.#m.calls.hold(call, step, { function: BDF, count: 1 });
    this.#release = () => hold.release();
  }

  async #isHeld(): Promise<void> {
    const { call, step } = this.#point;
    await until(async () => (await this.#m.calls.held()).some((held) => held.step === step), `${call} before ${step}`);
  }

  async #ledgerIs(point: string): Promise<void> {
    await until(async () => (await this.#dev.ledger()).some((entry) => entry.point === point), `a request that is ${point}`);
  }

  /** The service has noticed. */
  async #isGone(role: Role): Promise<void> {
    const left = role === 'host' ? 1 : 0;
    await until(async () => (await countOf(this.#m, role)) === left, `the end of a ${role}`);
  }

  /** A new process plays the function. */
  async #comeBack(): Promise<void> {
    await this.#cast.emulator.tell({ deed: 'claim', at: this.#m.id, url: this.#m.socketUrl, bdf: BDF });
  }

  /** What it was told, when the reset that its coming has made is over. */
  async #isReset(depth: number): Promise<readonly string[]> {
    const resets = async (): Promise<readonly string[]> =>
      (await this.#cast.emulator.tell({ deed: 'resets', at: this.#m.id })) as readonly string[];
    await until(async () => (await resets()).length > 0, 'a reset of the restarted emulator');
    await until(async () => (await this.#dev.info()).resetDepth === depth, 'the end of the restarted emulator’s own window');
    return resets();
  }

  /** The IOVA leads to another page from now on. */
  async #remap(): Promise<void> {
    await this.#dev.dma.unmap({ iova: RAM_IOVA, bytes: PAGE });
    await this.#dev.dma.map({ iova: RAM_IOVA, address: this.#pages[1], bytes: PAGE, access: 'rw' });
  }

  #write(iova: number, text: string): Promise<string> {
    return said(this.#cast.emulator.tell({ deed: 'write', at: this.#m.id, iova, text }));
  }

  async #state(): Promise<string> {
    const { resetDepth, blocked, gateOpen, absent } = await this.#dev.info();
    const shut = blocked ? 'blocked' : 'not blocked';
    return `depth ${resetDepth}, ${shut}, gate ${gateOpen ? 'open' : 'closed'}${absent ? ', absent' : ''}`;
  }
}

/** All of them, and the first error when none runs any more. */
async function allOf<T>(works: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}

/** What a program says of a deed, in a word. */
async function said(deed: Promise<unknown>): Promise<string> {
  try {
    const value = await deed;
    return typeof value === 'object' && value !== null && 'depth' in value ? `depth ${String(value.depth)}` : String(value);
  } catch (error) {
    if (error instanceof PeerError) return error.code;
    throw error;
  }
}

function words(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replaceAll('\0', '.');
}
