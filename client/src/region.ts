import type { CallOptions } from './ask.ts';
import { ask } from './ask.ts';
import type { Channel } from './channel.ts';
import { IommudError, invalid } from './errors.ts';
import { bigintOf, registerOf, u32, u64 } from './numbers.ts';
import { waited, type Waited } from './waited.ts';

/** Regions of a function as vfio-user numbers them; 0 to 5 are BARs. */
export const ROM = 6;
export const CONFIG = 7;

const WORD_BYTES = 4;

/** A function's registers in one region. Little-endian; an offset is a multiple of the width. */
export class Region {
  readonly #channel: Channel;
  readonly #function: number;
  readonly #region: number;

  /** `fn` is a packed place. */
  constructor(channel: Channel, fn: number, region: number) {
    this.#channel = channel;
    this.#function = fn;
    this.#region = region;
  }

  /** A register of 1, 2 or 4 bytes. Errors: ENODEV, EINVAL (width, alignment, beyond the region). */
  async read(offset: number, bytes: number, options?: CallOptions): Promise<number> {
    if (bytes > WORD_BYTES) throw invalid('bytes', `${bytes} is more than a number holds exactly; read64 reads a register of 8 bytes`);
    const request = { function: this.#function, region: this.#region, offset: u64(offset, 'offset'), bytes: u32(bytes, 'bytes') };
    const answer = await this.#channel.request('regionRead', request, undefined, options?.signal);
    if (answer.failed) throw new IommudError(answer);
    return registerOf(answer.body.value);
  }

  /** A register of 8 bytes. A BAR has them, configuration space has not. Errors as {@link read}. */
  async read64(offset: number, options?: CallOptions): Promise<bigint> {
    const request = { function: this.#function, region: this.#region, offset: u64(offset, 'offset'), bytes: 8 };
    return bigintOf((await ask(this.#channel, 'regionRead', request, options)).body.value);
  }

  /** Writes a register of 1, 2, 4 or (in a BAR) 8 bytes; bits of the value beyond the width are ignored. Errors as {@link read}. */
  async write(offset: number, bytes: number, value: bigint | number, options?: CallOptions): Promise<Waited> {
    const request = {
      function: this.#function,
      region: this.#region,
      offset: u64(offset, 'offset'),
      bytes: u32(bytes, 'bytes'),
      value: u64(value, 'value'),
    };
    const { body } = await ask(this.#channel, 'regionWrite', request, options);
    return waited(body.elapsedNs);
  }

  /** Several registers, one after the other, in one call. Errors as {@link write}, naming the write: then none was made. */
  async writeMany(
    writes: readonly { readonly offset: number; readonly bytes: number; readonly value: bigint | number }[],
    options?: CallOptions,
  ): Promise<Waited> {
    const items = writes.map(({ offset, bytes, value }) => ({
      region: this.#region,
      offset: u64(offset, 'offset'),
      bytes: u32(bytes, 'bytes'),
      value: u64(value, 'value'),
    }));
    const { body } = await ask(this.#channel, 'regionWriteMulti', { function: this.#function, writes: items }, options);
    return waited(body.elapsedNs);
  }

  /** Many registers at once, read as words of 4 bytes in order. Offset and count are multiples of 4. Errors as {@link read}. */
  async readBytes(offset: number, bytes: number, options?: CallOptions): Promise<Uint8Array> {
    if (u32(bytes, 'bytes') % WORD_BYTES !== 0) throw invalid('bytes', `${bytes} is not a multiple of ${WORD_BYTES}`);
    if (bytes === 0) return new Uint8Array();
    if (this.#region === CONFIG) {
      const request = { function: this.#function, offset: u32(offset, 'offset'), bytes };
      const { data } = await ask(this.#channel, 'configRead', request, options);
      // The frame's memory is not kept.
      return new Uint8Array(data ?? []);
    }
    const words: Promise<number>[] = [];
    for (let at = 0; at < bytes; at += WORD_BYTES) words.push(this.read(offset + at, WORD_BYTES, options));
    const values = await Promise.all(words);
    const view = new DataView(new ArrayBuffer(values.length * WORD_BYTES));
    for (const [index, value] of values.entries()) view.setUint32(index * WORD_BYTES, value, true);
    return new Uint8Array(view.buffer, 0, bytes);
  }
}
