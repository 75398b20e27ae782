/** The host's side of a card: sets up its rings, sends, and takes what comes, as a kernel's driver would. */
import type { Machine } from 'iommud';
import { NicAccess } from './access.ts';
import { bytesOf, descriptorsIn, joined, runsOf, type Descriptor } from './descriptors.ts';
import { CAUSE, CAUSES, DESCRIPTOR_BYTES, DONE, FLAG, RESET, RING_ON, VECTORS, type RingName } from './registers.ts';

const PAGE = 4096;
const MSIX = { capability: 0x11, enable: 0x8000, entryBytes: 16, bar: 2 } as const;
const MESSAGES = 0xfee0_0000;
const [TX_VECTOR, RX_VECTOR, OTHER_VECTOR] = [0, 1, 2];

export interface NicDriverOptions {
  /** Where the card finds its rings, and behind them its buffers: free IOVAs, a multiple of 4096. */
  readonly iova: number;
  /** Descriptors of each ring; 64 when absent. */
  readonly entries?: number;
  /** Of one buffer, a power of two; a longer packet takes several. 2048 when absent. */
  readonly bufferBytes?: number;
  /** Microseconds between two interrupts of a kind; 0 when absent. */
  readonly moderation?: number;
}

/** What the card says of itself: why a ring has stopped. */
export class NicStopped extends Error {}

/** A part of the card's memory: where it is for the card, and for the host. */
interface Area {
  readonly iova: number;
  readonly address: bigint;
}

/** Maps memory for a card and makes it ready. `interrupted` has to be told of its interrupts: {@link dispatchInterrupts} does. */
export async function openNic(machine: Machine, bdf: string, options: NicDriverOptions): Promise<NicDriver> {
  const nic = new NicDriver(machine, bdf, options);
  await nic.map();
  await nic.start();
  return nic;
}

/** Gives interrupts to the drivers that they are for, until the connection ends. Nobody else may take `machine.interrupts`. */
export async function dispatchInterrupts(machine: Machine, nics: readonly NicDriver[]): Promise<void> {
  for await (const { function: bdf, sourceVector } of machine.interrupts) {
    for (const nic of nics) if (nic.fn.bdf === bdf && sourceVector !== undefined) nic.interrupted(sourceVector);
  }
}

export class NicDriver extends NicAccess {
  readonly #machine: Machine;
  readonly #iova: number;
  readonly #entries: number;
  readonly #bufferBytes: number;
  readonly #moderation: number;
  #areas: Record<RingName, { readonly ring: Area; readonly buffers: Area }> | undefined;
  /** Of the transmit ring: where the next descriptor goes, and how many are the card's. */
  #next = 0;
  #used = 0;
  /** Of the receive ring: the first that the card has to fill. */
  #first = 0;
  /** Interrupts of each vector so far, and who waits for the next. */
  readonly #seen = VECTORS.map(() => 0);
  readonly #waiting = new Set<() => void>();
  /** A ring may have stopped. */
  #suspect = false;

  constructor(machine: Machine, bdf: string, { iova, entries = 64, bufferBytes = 2048, moderation = 0 }: NicDriverOptions) {
    super(machine.function(bdf));
    this.#machine = machine;
    this.#iova = iova;
    this.#entries = entries;
    this.#bufferBytes = bufferBytes;
    this.#moderation = moderation;
  }

  /** Rings may be read and written, what is sent only read, and what is received only written. */
  async map(): Promise<void> {
    const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
    const [ring, buffers] = [pages(this.#entries * DESCRIPTOR_BYTES), pages(this.#entries * this.#bufferBytes)];
    let iova = this.#iova;
    const { address: start } = await this.#machine.memory.alloc(2 * (ring + buffers));
    const area = async (bytes: number, access: 'r' | 'w' | 'rw'): Promise<Area> => {
      const one = { iova, address: start + BigInt(iova - this.#iova) };
      await this.fn.dma.map({ ...one, bytes, access });
      iova += bytes;
      return one;
    };
    this.#areas = {
      tx: { ring: await area(ring, 'rw'), buffers: await area(buffers, 'r') },
      rx: { ring: await area(ring, 'rw'), buffers: await area(buffers, 'w') },
    };
  }

  /** Resets the card and sets it up: at first, and after whatever has reset it. What was on its way is lost. */
  async start(): Promise<void> {
    await this.write('control', RESET);
    while (((await this.read('control')) & RESET) !== 0);
    await this.#enableMsix();
    [this.#next, this.#used, this.#first, this.#suspect] = [0, 0, 0, false];
    for (const name of ['tx', 'rx'] as const) await this.#turnOn(name);
    await this.#arm(0, this.#entries - 1);
    await this.write('moderation', this.#moderation);
    await this.write('autoClear', CAUSE.tx | CAUSE.rx);
    await this.write('cause', CAUSES);
    await this.write('enable', CAUSES);
    // A read is behind the writes, which are posted: the card has them.
    await this.read('status');
  }

  /** Sends all of them, waiting for room. Errors: {@link NicStopped}. */
  async send(packets: readonly Uint8Array[]): Promise<void> {
    for (let sent = 0; sent < packets.length;) {
      const seen = this.#interrupts(TX_VECTOR);
      await this.reap();
      const now = await this.post(packets.slice(sent));
      if (now === 0) await this.#after(TX_VECTOR, seen);
      sent += now;
    }
  }

  /** Waits until the card has done with all that was sent. Errors: {@link NicStopped}. */
  async drain(): Promise<void> {
    while (this.#used > 0) {
      const seen = this.#interrupts(TX_VECTOR);
      if ((await this.reap()) === 0) await this.#after(TX_VECTOR, seen);
    }
  }

  /** Puts packets into the ring as far as there is room, and rings the doorbell: so many. */
  async post(packets: readonly Uint8Array[]): Promise<number> {
    const { ring, buffers } = this.#memory('tx');
    const stride = this.#bufferBytes;
    const descriptors: Descriptor[] = [];
    const pieces: Uint8Array[] = [];
    let posted = 0;
    for (const packet of packets) {
      const needed = Math.max(1, Math.ceil(packet.length / stride));
      if (this.#used + descriptors.length + needed > this.#entries - 1) break;
      for (let piece = 0; piece < needed; piece++) {
        const at = (this.#next + descriptors.length) % this.#entries;
        const data = packet.subarray(piece * stride, (piece + 1) * stride);
        const flags = piece === needed - 1 ? FLAG.end : 0;
        pieces.push(data);
        descriptors.push({ address: BigInt(buffers.iova + at * stride), bytes: data.length, flags, status: 0, tag: at });
      }
      posted++;
    }
    if (posted === 0) return 0;
    const last = descriptors.length - 1;
    const asked = descriptors.map((one, index) => (index === last ? { ...one, flags: one.flags | FLAG.interrupt } : one));
    await Promise.all(
      runsOf(this.#entries, this.#next, asked.length).flatMap(({ from, count }) => {
        const start = (from - this.#next + this.#entries) % this.#entries;
        const image = new Uint8Array(count * stride);
        for (const [index, piece] of pieces.slice(start, start + count).entries()) image.set(piece, index * stride);
        return [
          this.#machine.memory.write(buffers.address + BigInt(from * stride), image),
          this.#machine.memory.write(ring.address + BigInt(from * DESCRIPTOR_BYTES), bytesOf(asked.slice(start, start + count))),
        ];
      }),
    );
    this.#next = (this.#next + asked.length) % this.#entries;
    this.#used += asked.length;
    await this.writeRing('tx', 'tail', this.#next);
    return posted;
  }

  /** Takes back the descriptors that the card has done with; how many. */
  async reap(): Promise<number> {
    if (this.#used === 0) return 0;
    const first = (this.#next - this.#used + this.#entries) % this.#entries;
    const done = prefix(await this.#descriptors('tx', first, this.#used));
    this.#used -= done.length;
    return done.length;
  }

  /** At least so many packets, in the order in which they came. Errors: {@link NicStopped}. */
  async receive(atLeast: number): Promise<Uint8Array[]> {
    const packets: Uint8Array[] = [];
    while (packets.length < atLeast) {
      const seen = this.#interrupts(RX_VECTOR);
      const come = await this.take();
      packets.push(...come);
      if (come.length === 0) await this.#after(RX_VECTOR, seen);
    }
    return packets;
  }

  /** The packets that have come, whole ones; their buffers are the card's again. */
  async take(): Promise<Uint8Array[]> {
    const { buffers } = this.#memory('rx');
    const stride = this.#bufferBytes;
    const filled = prefix(await this.#descriptors('rx', this.#first, this.#entries - 1));
    const done = filled.slice(0, filled.findLastIndex(({ status }) => (status & DONE.end) !== 0) + 1);
    if (done.length === 0) return [];
    const data = await this.#read(buffers, stride, this.#first, done.length);
    const packets: Uint8Array[] = [];
    let parts: Uint8Array[] = [];
    for (const [index, { bytes, status }] of done.entries()) {
      parts.push(data.subarray(index * stride, index * stride + bytes));
      if ((status & DONE.end) === 0) continue;
      packets.push(joined(parts));
      parts = [];
    }
    const from = (this.#first + this.#entries - 1) % this.#entries;
    this.#first = (this.#first + done.length) % this.#entries;
    await this.#arm(from, done.length);
    return packets;
  }

  /** An interrupt of this card has come. */
  interrupted(vector: number): void {
    this.#seen[vector] = this.#interrupts(vector) + 1;
    if (vector === OTHER_VECTOR) this.#suspect = true;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async #enableMsix(): Promise<void> {
    const { config } = this.fn;
    let at = await config.read(0x34, 1);
    while ((await config.read(at, 1)) !== MSIX.capability) at = await config.read(at + 1, 1);
    const table = this.fn.bar(MSIX.bar);
    for (const vector of VECTORS.keys()) {
      const entry = vector * MSIX.entryBytes;
      await table.write(entry, 8, MESSAGES);
      await table.write(entry + 8, 4, vector);
      await table.write(entry + 12, 4, 0);
    }
    await config.write(at + 2, 2, MSIX.enable);
  }

  async #turnOn(name: RingName): Promise<void> {
    const { ring } = this.#memory(name);
    await this.#machine.memory.write(ring.address, new Uint8Array(this.#entries * DESCRIPTOR_BYTES));
    await this.writeRing(name, 'baseLow', ring.iova % 2 ** 32);
    await this.writeRing(name, 'baseHigh', Math.floor(ring.iova / 2 ** 32));
    await this.writeRing(name, 'length', this.#entries);
    await this.writeRing(name, 'control', RING_ON);
  }

  /** Makes empty buffers the card's. */
  async #arm(from: number, howMany: number): Promise<void> {
    const { ring, buffers } = this.#memory('rx');
    const [entries, stride] = [this.#entries, this.#bufferBytes];
    await Promise.all(
      runsOf(entries, from, howMany).map((run) => {
        const descriptors = Array.from({ length: run.count }, (_, index) => {
          const at = run.from + index;
          return { address: BigInt(buffers.iova + at * stride), bytes: stride, flags: 0, status: 0, tag: at };
        });
        return this.#machine.memory.write(ring.address + BigInt(run.from * DESCRIPTOR_BYTES), bytesOf(descriptors));
      }),
    );
    await this.writeRing('rx', 'tail', (from + howMany) % entries);
  }

  async #descriptors(name: RingName, from: number, howMany: number): Promise<Descriptor[]> {
    return descriptorsIn(await this.#read(this.#memory(name).ring, DESCRIPTOR_BYTES, from, howMany));
  }

  /** So many things of so many bytes, in the order of the ring. */
  async #read({ address }: Area, each: number, from: number, howMany: number): Promise<Uint8Array> {
    const whole = new Uint8Array(howMany * each);
    await Promise.all(
      runsOf(this.#entries, from, howMany).map(async (run) => {
        const data = await this.#machine.memory.read(address + BigInt(run.from * each), run.count * each);
        whole.set(data, ((run.from - from + this.#entries) % this.#entries) * each);
      }),
    );
    return whole;
  }

  #memory(name: RingName): { readonly ring: Area; readonly buffers: Area } {
    if (this.#areas === undefined) throw new Error(`${this.fn.bdf} has no memory yet: map() first`);
    return this.#areas[name];
  }

  #interrupts(vector: number): number {
    return this.#seen[vector] ?? 0;
  }

  /** Waits for an interrupt after the `seen`th. */
  async #after(vector: number, seen: number): Promise<void> {
    while (this.#interrupts(vector) === seen) {
      if (this.#suspect) {
        this.#suspect = false;
        const why = await this.error();
        this.#suspect ||= why !== undefined;
        if (why !== undefined) throw new NicStopped(why);
        continue;
      }
      await new Promise<void>((resolve) => void this.#waiting.add(resolve));
    }
  }
}

function prefix(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const first = descriptors.findIndex(({ status }) => (status & DONE.done) === 0);
  return first < 0 ? descriptors : descriptors.slice(0, first);
}
