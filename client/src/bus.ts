import { ask, type CallOptions } from './ask.ts';
import { packBdf } from './bdf.ts';
import type { Channel } from './channel.ts';
import { IommudError, invalid } from './errors.ts';
import { BUS_SPACE, type BusSpace } from './names.ts';
import { bigintOf, registerOf, u32, u64 } from './numbers.ts';
import { waited, type Waited } from './waited.ts';

const WORD_BYTES = 4;
const REGISTER_BITS = 12n;

export interface BusOptions extends CallOptions {
  /** What the address is of. Default `memory`. */
  readonly space?: BusSpace;
}

/**
 * Accesses of a processor by address, as a root complex routes them: RAM, ECAM, BARs that decode now behind bridge windows as they stand, I/O ports. Where
 * nobody answers a read is all ones and a write is dropped.
 */
export class Bus {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** 1, 2 or 4 bytes at an address that is a multiple of them. Errors: EINVAL (width, alignment, no such address), EIO (the owner of the memory failed). */
  async read(address: bigint | number, bytes: number, options?: BusOptions): Promise<number> {
    if (bytes > WORD_BYTES) throw invalid('bytes', `${bytes} is more than a number holds exactly; read64 reads 8 bytes`);
    const request = { space: spaceOf(options), address: u64(address, 'address'), bytes: u32(bytes, 'bytes') };
    const answer = await this.#channel.request('busRead', request, undefined, options?.signal);
    if (answer.failed) throw new IommudError(answer);
    return registerOf(answer.body.value);
  }

  /** 8 bytes of memory. Errors as {@link read}. */
  async read64(address: bigint | number, options?: BusOptions): Promise<bigint> {
    const request = { space: spaceOf(options), address: u64(address, 'address'), bytes: 8 };
    return bigintOf((await ask(this.#channel, 'busRead', request, options)).body.value);
  }

  /** 1, 2, 4 or, in memory, 8 bytes; bits of the value beyond the width are ignored. Errors as {@link read}. */
  async write(address: bigint | number, bytes: number, value: bigint | number, options?: BusOptions): Promise<Waited> {
    const request = {
      space: spaceOf(options),
      address: u64(address, 'address'),
      bytes: u32(bytes, 'bytes'),
      value: u64(value, 'value'),
    };
    return waited((await ask(this.#channel, 'busWrite', request, options)).body.elapsedNs);
  }

  /**
   * Configuration space of whatever is at `01:00.0` or `0000:01:00.0` by the bus numbers that bridges have now. {@link Machine.function} takes a name
   * instead, which stays as at power-up.
   */
  config(at: string): BusConfig {
    return new BusConfig(this, at);
  }
}

/** Configuration space at an address. Offsets are multiples of the width: 1, 2 or 4. */
export class BusConfig {
  readonly #bus: Bus;
  readonly #at: string;

  constructor(bus: Bus, at: string) {
    this.#bus = bus;
    this.#at = at;
  }

  /** Errors: EINVAL. */
  async read(offset: number, bytes: number, options?: CallOptions): Promise<number> {
    return this.#bus.read(configAddress(this.#at, offset), bytes, { ...options, space: 'config' });
  }

  /** Errors: EINVAL. */
  async write(offset: number, bytes: number, value: number, options?: CallOptions): Promise<Waited> {
    return this.#bus.write(configAddress(this.#at, offset), bytes, value, { ...options, space: 'config' });
  }
}

/** The address of a register in space `config`; without the segment it is the offset in that segment's ECAM. */
export function configAddress(at: string, offset = 0): bigint {
  if (!Number.isInteger(offset) || offset < 0 || offset > 0xfff) throw invalid('offset', `${offset} is no offset in configuration space`);
  return (BigInt(packBdf(at)) << REGISTER_BITS) | BigInt(offset);
}

function spaceOf(options: BusOptions | undefined): number {
  return BUS_SPACE.numberOf(options?.space ?? 'memory', 'space');
}
