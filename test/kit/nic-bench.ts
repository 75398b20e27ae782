import { ringNic } from '../../client/examples/ring-nic.ts';
/** The example's network cards in the hands of a test: two of them at a cable, with their drivers, or one by its registers, as docs/ring-nic.md has them. */
import { cable, type Wire } from '../../client/examples/ring-nic/cable.ts';
import { dispatchInterrupts, openNic, type NicDriver, type NicDriverOptions } from '../../client/examples/ring-nic/driver.ts';
import type { Nic } from '../../client/examples/ring-nic/rings.ts';
import type { Connection, FunctionHandle } from '../../client/src/index.ts';
import type { ScenarioMachine } from './scenario.ts';

export const [LEFT, RIGHT] = ['00:03.0', '00:04.0'];
export const CARDS = {
  schema: 'iommud.topology/v1',
  functions: [LEFT, RIGHT].map((address) => ({ address, model: 'remote' })),
};

export const REGISTER = {
  control: 0x08,
  status: 0x0c,
  macLow: 0x10,
  macHigh: 0x14,
  cause: 0x20,
  enable: 0x24,
  autoClear: 0x28,
  moderation: 0x2c,
  errorCode: 0x30,
  errorRing: 0x34,
  errorIndex: 0x38,
  errorLow: 0x40,
  errorHigh: 0x44,
  txPackets: 0x200,
  rxPackets: 0x208,
  rxDropped: 0x210,
} as const;
export const [TX, RX] = [0x100, 0x140];
export const [BASE, LENGTH, HEAD, TAIL, CONTROL] = [0x00, 0x08, 0x0c, 0x10, 0x14];
export const [END, INTERRUPT] = [1, 2];
export const DESCRIPTOR_BYTES = 16;

/** Plays the card at one end. Returns its program's connection, and the card as its own code sees it. */
export async function play(m: ScenarioMachine, bdf: string, wire: Wire): Promise<{ readonly program: Connection; readonly inside: Nic }> {
  const program = await m.connect(['device']);
  const { fn } = await ringNic({ mac: bdf === LEFT ? '52:54:00:12:34:01' : '52:54:00:12:34:02', wire }).claim(program, bdf);
  return { program, inside: fn };
}

export interface TwoCards {
  readonly left: NicDriver;
  readonly right: NicDriver;
  readonly programs: readonly [Connection, Connection];
  readonly ends: readonly [Wire, Wire];
}

/** Both cards, the link up, and their drivers. */
export async function twoCards(m: ScenarioMachine, options: Partial<NicDriverOptions> = {}): Promise<TwoCards> {
  const ends = cable();
  const [one, other] = [await play(m, LEFT, ends[0]), await play(m, RIGHT, ends[1])];
  const opened = { iova: 0x10_0000, entries: 8, bufferBytes: 256, ...options };
  const [left, right] = [await openNic(m, LEFT, opened), await openNic(m, RIGHT, opened)];
  void dispatchInterrupts(m, [left, right]);
  return { left, right, programs: [one.program, other.program], ends };
}

/** A wire that leads to the test: what is sent is noted, and waits as long as it is held: then its sender may give up. */
export class TestWire implements Wire {
  readonly sent: string[] = [];
  /** Lets a card have a packet, once it is plugged in. */
  deliver: (packet: string) => void | Promise<void> = () => undefined;
  readonly #held: (() => void)[] = [];
  held = false;

  up(): boolean {
    return true;
  }
  async send(packet: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.held) {
      await new Promise<void>((resolve) => {
        this.#held.push(resolve);
        signal.addEventListener('abort', () => resolve());
      });
      if (signal.aborted) return;
    }
    this.sent.push(new TextDecoder().decode(packet));
  }
  plug(card: Parameters<Wire['plug']>[0]): () => void {
    this.deliver = (packet) => card.receive(bytes(packet), new AbortController().signal);
    return () => undefined;
  }
  letThrough(): void {
    this.held = false;
    for (const go of this.#held.splice(0)) go();
  }
}

/** A card by its registers. */
export class RawCard {
  readonly dev: FunctionHandle;

  constructor(m: ScenarioMachine, bdf: string) {
    this.dev = m.function(bdf);
  }
  read(offset: number): Promise<number> {
    return this.dev.bar(0).read(offset, 4);
  }
  async write(offset: number, value: number): Promise<void> {
    await this.dev.bar(0).write(offset, 4, value);
  }
  /** A ring's doorbell; the card has heard it, since a read is behind the posted write. */
  async ring(block: number, tail: number): Promise<void> {
    await this.write(block + TAIL, tail);
    await this.read(REGISTER.status);
  }
  /** Turns a ring on. */
  async turnOn(block: number, iova: number, length: number): Promise<void> {
    await this.write(block + BASE, iova);
    await this.write(block + BASE + 4, 0);
    await this.write(block + LENGTH, length);
    await this.write(block + CONTROL, 1);
  }
  /** Code, ring, index, and address of the error that stands in the registers. */
  async error(): Promise<readonly [code: number, ring: number, index: number, address: bigint]> {
    const [code, ring, index] = [await this.read(0x30), await this.read(0x34), await this.read(0x38)];
    return [code, ring, index, (BigInt(await this.read(0x44)) << 32n) | BigInt(await this.read(0x40))];
  }
  /** Its vectors, unmasked, with messages whose data is the vector's number. Returns where the capability is. */
  async enableMsix(): Promise<number> {
    const { config } = this.dev;
    let at = await config.read(0x34, 1);
    while ((await config.read(at, 1)) !== 0x11) at = await config.read(at + 1, 1);
    for (const vector of [0, 1, 2]) {
      await this.dev.bar(2).write(vector * 16, 8, 0xfee0_0000n);
      await this.dev.bar(2).write(vector * 16 + 8, 4, vector);
      await this.dev.bar(2).write(vector * 16 + 12, 4, 0);
    }
    await config.write(at + 2, 2, 0x8000);
    return at;
  }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function descriptor(address: bigint | number, count: number, flags = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(DESCRIPTOR_BYTES));
  view.setBigUint64(0, BigInt(address), true);
  view.setUint32(8, count, true);
  view.setUint8(12, flags);
  return new Uint8Array(view.buffer);
}
