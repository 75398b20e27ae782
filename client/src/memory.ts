import { DMA_BYTES_MAX } from '../../proto/limits.ts';
import { ask, type CallOptions } from './ask.ts';
import type { Channel } from './channel.ts';
import { invalid } from './errors.ts';
import { bigintOf, numberOf, u64 } from './numbers.ts';
import { shown } from './shown.ts';
import { waited, type Waited } from './waited.ts';

const PAGE_BYTES = 4096;

export interface Allocation {
  /** Physical. */
  readonly address: bigint;
  /** Whole pages. */
  readonly bytes: number;
}

/** Physical; `address` and `bytes` are multiples of `pageBytes`. */
export interface WrittenRange {
  readonly address: bigint | number;
  readonly bytes: bigint | number;
  /** What one bit stands for: a power of two from 4096, which it is when absent. */
  readonly pageBytes?: bigint | number;
  /** What is told stays dirty. */
  readonly noClear?: boolean;
}

/** Guest memory as the host sees it. Addresses are physical. */
export class Memory {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Takes pages that nobody uses, zero-filled when never used before. Errors: EINVAL, ENOMEM. */
  async alloc(bytes: bigint | number, options?: CallOptions): Promise<Allocation> {
    const { body } = await ask(this.#channel, 'memoryAlloc', { bytes: u64(bytes, 'bytes') }, options);
    return shown({ address: bigintOf(body.address), bytes: numberOf(body.bytes) });
  }

  /** Gives an allocation back by its start. Errors: ENOENT, EBUSY (the fate of a write to it is unknown). */
  async free(address: bigint | number, options?: CallOptions): Promise<Waited> {
    const { body } = await ask(this.#channel, 'memoryFree', { address: u64(address, 'address') }, options);
    return waited(body.elapsedNs);
  }

  /** Any number of bytes: more than one call carries go in several. Errors: EFAULT, EIO (its owner failed), EINVAL. */
  async read(address: bigint | number, bytes: number, options?: CallOptions): Promise<Uint8Array> {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw invalid('bytes', `${bytes} is not a safe integer from 0 on`);
    const start = bigintOf(u64(address, 'address'));
    if (bytes <= DMA_BYTES_MAX) return this.#readPart(start, bytes, options);
    const parts = await Promise.all(partsOf(bytes).map(([from, size]) => this.#readPart(start + BigInt(from), size, options)));
    const whole = new Uint8Array(bytes);
    for (const [index, [from]] of partsOf(bytes).entries()) whole.set(parts[index] ?? [], from);
    return whole;
  }

  /** Any number of bytes; text is written as UTF-8. Errors as {@link read}; parts that were written before an error stay written. */
  async write(address: bigint | number, data: Uint8Array | string, options?: CallOptions): Promise<void> {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    const start = bigintOf(u64(address, 'address'));
    const parts = bytes.length <= DMA_BYTES_MAX ? ([[0, bytes.length]] as const) : partsOf(bytes.length);
    await Promise.all(
      parts.map(([from, size]) => {
        const request = { address: u64(start + BigInt(from), 'address') };
        return ask(this.#channel, 'memoryWrite', request, options, bytes.subarray(from, from + size));
      }),
    );
  }

  /**
   * Notes from now on which pages are written, by functions, by hosts, or by owners that say so ({@link MemoryOwner.dirty}), all of them clean at first; or notes no
   * more. Memory that gets an owner while it is on is dirty as a whole.
   */
  async setDirtyLog(on: boolean, options?: CallOptions): Promise<Waited> {
    const { body } = await ask(this.#channel, 'dirtyLogSet', { on }, options);
    return waited(body.elapsedNs);
  }

  /**
   * Which pages of a range were written since they were last clean: a bit for each, the first in bit 0 of the first byte. They are clean again unless `noClear`.
   * A write to memory that a peer owns counts when the owner has answered it. Errors: EINVAL (the log is off; alignment; more than 1 MiB of bitmap).
   */
  async readDirtyLog(range: WrittenRange, options?: CallOptions): Promise<Uint8Array> {
    const request = {
      address: u64(range.address, 'address'),
      bytes: u64(range.bytes, 'bytes'),
      pageBytes: u64(range.pageBytes ?? PAGE_BYTES, 'pageBytes'),
      noClear: range.noClear ?? null,
    };
    const { data } = await ask(this.#channel, 'dirtyLogRead', request, options);
    return data ?? new Uint8Array(0);
  }

  async #readPart(address: bigint, bytes: number, options: CallOptions | undefined): Promise<Uint8Array> {
    const answer = await ask(this.#channel, 'memoryRead', { address: u64(address, 'address'), bytes }, options);
    return answer.data ?? new Uint8Array(0);
  }
}

/** Start and size of each part that one call carries. */
export function partsOf(bytes: number): (readonly [from: number, size: number])[] {
  const parts: (readonly [number, number])[] = [];
  for (let from = 0; from < bytes; from += DMA_BYTES_MAX) parts.push([from, Math.min(DMA_BYTES_MAX, bytes - from)]);
  return parts;
}
