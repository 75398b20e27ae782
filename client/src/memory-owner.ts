/** The memory role: ranges of guest memory that this program owns. */
import { DIRTY_RANGES_MAX } from '../../proto/limits.ts';
import { ask, type CallOptions } from './ask.ts';
import type { Channel, PeerAnswer, PeerCall } from './channel.ts';
import { Claim } from './claim.ts';
import { IommudError, isCancelled } from './errors.ts';
import { bigintOf, hex, u32, u64 } from './numbers.ts';

export interface MemoryRange {
  /** Physical, a multiple of 4096. */
  readonly address: bigint | number;
  /** A multiple of 4096. */
  readonly bytes: bigint | number;
  /** Accesses that the server may have outstanding here, 1 to 1024; 16 when absent. */
  readonly depth?: number;
}

/** Goes with each access: it changes when a reset drops what is in flight. The server recognises a late answer by itself. */
export interface AccessContext {
  readonly epoch: number;
}

/**
 * Answers the server's accesses. Each may take its time; others start meanwhile, in the order in which they were sent. A throw is answered as an
 * error: an {@link IommudError} with its code, anything else as EIO. Addresses are physical.
 */
export interface MemoryHandlers {
  /** Returns exactly so many bytes. */
  read(address: bigint, bytes: number, context: AccessContext): Uint8Array | Promise<Uint8Array>;
  /** The bytes are this program's to keep. */
  write(address: bigint, data: Uint8Array, context: AccessContext): void | Promise<void>;
  /** Called when every write that started before has settled; the fence is answered when this settles. */
  fence?(address: bigint, bytes: bigint, context: AccessContext): void | Promise<void>;
}

/** Bytes that the owner has written itself. */
export interface OwnWrite {
  /** Physical. */
  readonly address: bigint | number;
  readonly bytes: bigint | number;
}

/** A range that this connection owns. Disposing of it gives it up. */
export class MemoryOwner extends Claim {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly #channel: Channel;
  readonly #handlers: MemoryHandlers;
  /** Writes whose handlers have started and not settled. */
  readonly #writes = new Set<Promise<void>>();

  constructor(channel: Channel, range: MemoryRange, handlers: MemoryHandlers, giveUp: (options: CallOptions | undefined) => Promise<void>) {
    super(giveUp);
    this.#channel = channel;
    this.address = bigintOf(u64(range.address, 'address'));
    this.bytes = bigintOf(u64(range.bytes, 'bytes'));
    this.#handlers = handlers;
  }

  /**
   * Tells the server what this program has written here by itself, so that hosts that keep a log of what is written know; any number of ranges. `logging`: whether
   * one does. Errors: EINVAL, EFAULT (not in this range, or another of this connection's); ranges of 256 that were told before an error are noted.
   */
  async dirty(writes: readonly OwnWrite[], options?: CallOptions): Promise<{ readonly logging: boolean }> {
    const ranges = writes.map(({ address, bytes }) => ({ address: u64(address, 'address'), bytes: u64(bytes, 'bytes') }));
    let logging = false;
    for (let from = 0; from < Math.max(ranges.length, 1); from += DIRTY_RANGES_MAX) {
      const { body } = await ask(this.#channel, 'memoryDirty', { ranges: ranges.slice(from, from + DIRTY_RANGES_MAX) }, options);
      ({ logging } = body);
    }
    return { logging };
  }

  holds(address: bigint): boolean {
    return address >= this.address && address - this.address < this.bytes;
  }

  read(address: bigint, bytes: number, context: AccessContext): PeerAnswer | Promise<PeerAnswer> {
    const data = this.#handlers.read(address, bytes, context);
    return data instanceof Promise ? data.then((late) => exactly(late, bytes)) : exactly(data, bytes);
  }

  write(address: bigint, data: Uint8Array, context: AccessContext): PeerAnswer | Promise<PeerAnswer> {
    const written = this.#handlers.write(address, data, context);
    if (!(written instanceof Promise)) return {};
    const rest = (): void => {
      this.#writes.delete(settled);
    };
    const settled: Promise<void> = written.then(rest, rest);
    this.#writes.add(settled);
    return written.then(() => ({}));
  }

  async fence(address: bigint, bytes: bigint, context: AccessContext): Promise<PeerAnswer> {
    await Promise.all(this.#writes);
    await this.#handlers.fence?.(address, bytes, context);
    return {};
  }
}

/** The ranges of one connection, and the way of a call to its range. */
export class MemoryOwners {
  readonly #channel: Channel;
  readonly #owners = new Set<MemoryOwner>();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Errors: EINVAL (alignment), EADDRINUSE (overlaps), EPERM (no memory role). */
  async serve(range: MemoryRange, handlers: MemoryHandlers, options?: CallOptions): Promise<MemoryOwner> {
    const request = {
      address: u64(range.address, 'address'),
      bytes: u64(range.bytes, 'bytes'),
      depth: range.depth === undefined ? null : u32(range.depth, 'depth'),
    };
    const owner = new MemoryOwner(this.#channel, range, handlers, async (releaseOptions) => {
      await ask(this.#channel, 'memoryRelease', { address: request.address }, releaseOptions);
      this.#owners.delete(owner);
    });
    // Before the claim is answered: the first access may come right behind the answer.
    this.#owners.add(owner);
    try {
      await ask(this.#channel, 'memoryClaim', request, options);
    } catch (error) {
      this.#owners.delete(owner);
      // Given up is not undone: behind the claim goes what undoes it, if it had effect.
      if (isCancelled(error)) void ask(this.#channel, 'memoryRelease', { address: request.address }).catch(() => undefined);
      throw error;
    }
    return owner;
  }

  answer(call: MemoryCall): PeerAnswer | Promise<PeerAnswer> {
    const address = call.request.address ? bigintOf(call.request.address) : 0n;
    const context = { epoch: call.request.epoch ?? 0 };
    const owner = this.#ownerOf(address);
    if (owner === undefined) throw new IommudError({ code: 'EFAULT', message: `${hex(address)} is not owned here`, about: hex(address) });
    switch (call.name) {
      case 'memoryRead':
        return owner.read(address, call.request.bytes ?? 0, context);
      case 'memoryWrite':
        return owner.write(address, call.data ?? new Uint8Array(0), context);
      case 'memoryFence':
        return owner.fence(address, call.request.bytes ? bigintOf(call.request.bytes) : 0n, context);
    }
  }

  #ownerOf(address: bigint): MemoryOwner | undefined {
    for (const owner of this.#owners) if (owner.holds(address)) return owner;
    return undefined;
  }
}

type MemoryCall = Extract<PeerCall, { name: 'memoryRead' | 'memoryWrite' | 'memoryFence' }>;

function exactly(data: Uint8Array, bytes: number): PeerAnswer {
  if (data.length !== bytes)
    throw new IommudError({ code: 'EIO', message: `the owner gave ${data.length} bytes where ${bytes} were read` });
  return { data };
}
