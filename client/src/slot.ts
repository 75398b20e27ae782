/** The slot below a port, by the port's registers (PCIe §7.5.3.8 to §7.5.3.11), and what a hand does there. */
import { ask, type CallOptions } from './ask.ts';
import { bdfText } from './bdf.ts';
import type { Channel } from './channel.ts';
import { IommudError, failure } from './errors.ts';
import { SLOT_SIGNAL, type SlotSignal } from './names.ts';
import type { Region } from './region.ts';

const CAPABILITIES = 0x34;
const EXPRESS = 0x10;
/** From the capability's header. */
const AT = { flags: 2, linkStatus: 0x12, capabilities: 0x14, control: 0x18, status: 0x1a } as const;
const SLOT = 0x100;
const LINK_ACTIVE = 0x2000;
const POWER_CONTROLLER = 2;
const POWER_OFF = 0x400;
const PRESENT = 0x40;
/** Events by their bit in Slot Status. */
const EVENTS = [
  ['attention-button', 1],
  ['power-fault', 2],
  ['latch', 4],
  ['presence', 8],
  ['command-completed', 0x10],
  ['link', 0x100],
] as const;

export interface SlotInfo {
  /** A card is in it. */
  readonly present: boolean;
  /** True also where there is no power controller. */
  readonly powered: boolean;
  readonly linkActive: boolean;
  /** What has happened since the status was last cleared. */
  readonly events: readonly (typeof EVENTS)[number][0][];
}

export class Slot {
  readonly #channel: Channel;
  readonly #function: number;
  readonly #config: Region;

  /** `fn` is a packed place. */
  constructor(channel: Channel, fn: number, config: Region) {
    this.#channel = channel;
    this.#function = fn;
    this.#config = config;
  }

  /** Errors: EOPNOTSUPP (the function has no slot). */
  async info(options?: CallOptions): Promise<SlotInfo> {
    const at = await this.#find(options);
    const status = await this.#config.read(at + AT.status, 2, options);
    return {
      present: (status & PRESENT) !== 0,
      powered: ((await this.#config.read(at + AT.control, 2, options)) & POWER_OFF) === 0,
      linkActive: ((await this.#config.read(at + AT.linkStatus, 2, options)) & LINK_ACTIVE) !== 0,
      events: EVENTS.filter(([, bit]) => (status & bit) !== 0).map(([name]) => name),
    };
  }

  /** Clears the events of Slot Status. */
  async clear(options?: CallOptions): Promise<void> {
    const at = await this.#find(options);
    const all = EVENTS.reduce((bits, [, bit]) => bits | bit, 0);
    await this.#config.write(at + AT.status, 2, all, options);
  }

  /** Turns the power on or off (Power Controller Control). Errors: EOPNOTSUPP (no slot, or no power controller). */
  async power(on: boolean, options?: CallOptions): Promise<void> {
    const at = await this.#find(options);
    if (((await this.#config.read(at + AT.capabilities, 4, options)) & POWER_CONTROLLER) === 0) throw this.#without('a power controller');
    const control = await this.#config.read(at + AT.control, 2, options);
    await this.#config.write(at + AT.control, 2, on ? control & ~POWER_OFF : control | POWER_OFF, options);
  }

  /** What a hand does at the slot, or its power controller sees. Errors: EOPNOTSUPP (it has no such thing). */
  async signal(signal: SlotSignal, options?: CallOptions): Promise<void> {
    await ask(this.#channel, 'slotSignal', { function: this.#function, signal: SLOT_SIGNAL.numberOf(signal, 'signal') }, options);
  }

  async #find(options: CallOptions | undefined): Promise<number> {
    for (let at = await this.#config.read(CAPABILITIES, 1, options); at !== 0 && at !== 0xff;) {
      const id = await this.#config.read(at, 1, options);
      if (id === EXPRESS) {
        if (((await this.#config.read(at + AT.flags, 2, options)) & SLOT) === 0) break;
        return at;
      }
      at = await this.#config.read(at + 1, 1, options);
    }
    throw this.#without('a slot');
  }

  #without(what: string): IommudError {
    return new IommudError(
      failure('EOPNOTSUPP', `${bdfText(this.#function)} has no slot with ${what}`.replace(' slot with a slot', ' slot')),
    );
  }
}
