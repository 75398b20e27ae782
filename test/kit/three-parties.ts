/** A story of a host, an emulator and an owner of memory, in programs of their own, and all that comes of it for whoever looks: no times, and no traces. */
import type { FunctionHandle } from '../../client/src/index.ts';
import type { TestMachine } from '../../client/testing/index.ts';
import { PeerError, countOf, until, type Deed, type PeerProcess } from './peer-process.ts';

export const PARTIES = ['emulator', 'owner', 'host'] as const;
export type Party = (typeof PARTIES)[number];
export type Programs = Readonly<Record<Party, PeerProcess>>;

/** What is told, in order. Something may happen to the network before each, and while it goes on. */
export const STAGES = ['open', 'rogue', 'sent', 'prepare', 'shut', 'remap', 'done', 'after', 'reset', 'end'] as const;
export type Stage = (typeof STAGES)[number];

export interface Story {
  readonly machine: TestMachine;
  readonly programs: Programs;
  /** Where each finds the machine. */
  readonly urls: Readonly<Record<Party, string>>;
  /** What happens to the network when a stage begins; whoever lost its connection by it is named. */
  disturb(stage: Stage): Promise<Party | undefined>;
  /** Whose connection ends while the prepare waits for a fence, and how. */
  readonly ends?: { readonly party: Party; by(): void };
}

/** What is the same on every network. */
export interface Outcome {
  /** Of each deed, in order, what came of it. */
  readonly deeds: readonly (readonly [string, unknown])[];
  /** Causes and IOVAs of what the IOMMU refused. */
  readonly faults: readonly string[];
  readonly state: object;
  /** Where the IOVAs lead. */
  readonly mappings: readonly (bigint | undefined)[];
  readonly ledger: readonly unknown[];
  readonly memory: readonly string[];
}

const BDF = '00:04.0';
const OWNED = 0x8000_0000n;
const OWNED_IOVA = 0x20000;
const RAM_IOVA = 0x30000;
const ROGUE_IOVA = 0x50000;
const PAGE = 4096;
const WORD = 8;
const ROLE = { emulator: 'device', owner: 'memory', host: 'host' } as const;

export async function tell(story: Story): Promise<Outcome> {
  const parties = new Parties(story);
  await Promise.all(PARTIES.map((party) => parties.join(party)));
  const { machine } = story;
  const { address } = await machine.memory.alloc(2 * PAGE);
  const dev = machine.function(BDF);
  await dev.config.write(4, 2, 0x0406);
  await dev.dma.map({ iova: OWNED_IOVA, address: OWNED, bytes: PAGE, access: 'rw' });
  await dev.dma.map({ iova: RAM_IOVA, address, bytes: PAGE, access: 'rw' });
  for (const stage of STAGES) await parties.play(stage, address + BigInt(PAGE));
  const { resetDepth, blocked, gateOpen, absent, busMaster, inFlight } = await dev.info();
  const { records } = await machine.faultRecords();
  const content = await parties.ask('owner', { deed: 'content', bytes: WORD });
  return {
    deeds: parties.deeds,
    faults: records.map(({ cause, iova }) => `${cause} at ${iova}`),
    state: { resetDepth, blocked, gateOpen, absent, busMaster, inFlight },
    mappings: await Promise.all([RAM_IOVA, OWNED_IOVA, ROGUE_IOVA].map((iova) => dev.dma.iovaToPhys(iova))),
    ledger: await dev.ledger(),
    memory: [await wordAt(machine, address), await wordAt(machine, address + BigInt(PAGE)), String(content)],
  };
}

type Asked = Deed extends infer D ? (D extends Deed ? Omit<D, 'at'> : never) : never;

class Parties {
  readonly deeds: (readonly [string, unknown])[] = [];
  readonly #story: Story;
  readonly #dev: FunctionHandle;
  /** The write that its owner has. */
  #late: Promise<unknown> = Promise.resolve();

  constructor(story: Story) {
    this.#story = story;
    this.#dev = story.machine.function(BDF);
  }

  async join(party: Party): Promise<void> {
    const url = this.#story.urls[party];
    if (party === 'emulator') await this.ask(party, { deed: 'claim', url, bdf: BDF });
    else if (party === 'owner') await this.ask(party, { deed: 'own', url, address: String(OWNED), slow: false });
    else await this.ask(party, { deed: 'host', url });
  }

  ask(party: Party, asked: Asked): Promise<unknown> {
    return this.#story.programs[party].tell({ ...asked, at: this.#story.machine.id });
  }

  /** With whatever becomes of the network at its beginning. */
  async play(stage: Stage, page: bigint): Promise<void> {
    const lost = await this.#story.disturb(stage);
    if (lost !== undefined) await this.#comeBack(lost, stage);
    await this.#perform(stage, page);
  }

  async #perform(stage: Stage, page: bigint): Promise<void> {
    switch (stage) {
      case 'open':
      case 'shut':
      case 'after':
        return this.#writeBoth(stage);
      case 'rogue':
        return this.#note(stage, this.#write(ROGUE_IOVA, stage));
      case 'sent':
        await this.ask('owner', { deed: 'slow' });
        this.#late = this.#write(OWNED_IOVA, 'late').catch(codeOf);
        return this.#ledgerIs('sent');
      case 'prepare':
        return this.#prepare();
      case 'remap':
        return this.#note(stage, this.ask('host', { deed: 'remap', bdf: BDF, iova: RAM_IOVA, address: String(page) }));
      case 'done':
      case 'reset':
        return this.#note(stage, this.ask('host', { deed: stage, bdf: BDF }));
      case 'end':
        return this.#note(stage, this.#write(RAM_IOVA, stage));
    }
  }

  /** At the same time, to the machine's memory and to the owner's: either may end first. */
  async #writeBoth(stage: Stage): Promise<void> {
    const outcomes = await Promise.all([RAM_IOVA, OWNED_IOVA].map((iova) => this.#write(iova, stage).catch(codeOf)));
    this.deeds.push([stage, outcomes]);
  }

  /** Aborts the write, of which nobody knows what becomes until its owner answers the fence. */
  async #prepare(): Promise<void> {
    const asked = { deed: 'prepare', bdf: BDF, deadlineMs: 0, token: 'story' } as const;
    const prepared = this.ask('host', asked).catch(codeOf);
    await this.#ledgerIs('indeterminate');
    const { resetDepth, gateOpen } = await this.#dev.info();
    this.deeds.push(['before the fence is answered', { resetDepth, gateOpen }]);
    await this.#note('late', this.#late);
    const { ends } = this.#story;
    ends?.by();
    if (ends?.party !== 'owner') await this.ask('owner', { deed: 'let-go' });
    await this.#note('prepare', prepared);
    if (ends === undefined) return;
    await this.#comeBack(ends.party, 'shut');
    if (ends.party === 'host') await this.#note('prepare', this.ask('host', asked));
  }

  #write(iova: number, text: string): Promise<unknown> {
    return this.ask('emulator', { deed: 'write', iova, text: text.padEnd(WORD, '.') });
  }

  async #note(what: string, deed: Promise<unknown>): Promise<void> {
    this.deeds.push([what, await deed.catch(codeOf)]);
  }

  #ledgerIs(point: string): Promise<void> {
    return until(async () => (await this.#dev.ledger()).some((entry) => entry.point === point), `a request that is ${point}`);
  }

  /** It connects anew, once the service has noticed; of an emulator the reset that it gets is awaited. */
  async #comeBack(party: Party, stage: Stage): Promise<void> {
    const { machine } = this.#story;
    await this.ask(party, { deed: 'gone' });
    await until(async () => (await countOf(machine, ROLE[party])) === (party === 'host' ? 1 : 0), `the end of the ${party}`);
    await this.join(party);
    if (party !== 'emulator') return;
    const depth = isInWindow(stage) ? 1 : 0;
    await until(async () => ((await this.ask('emulator', { deed: 'resets' })) as readonly string[]).length > 0, 'a reset of the emulator');
    await until(async () => {
      const { resetDepth, busMaster } = await this.#dev.info();
      return resetDepth === depth && busMaster;
    }, 'the end of that reset');
  }
}

function isInWindow(stage: Stage): boolean {
  return stage === 'shut' || stage === 'remap' || stage === 'done';
}

function codeOf(error: unknown): string {
  if (error instanceof PeerError) return error.code;
  throw error;
}

async function wordAt(machine: TestMachine, address: bigint): Promise<string> {
  return new TextDecoder().decode(await machine.memory.read(address, WORD));
}
