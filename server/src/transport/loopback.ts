import { CLOSE } from '../../../proto/close.ts';
import { MESSAGE_BYTES_MAX } from '../../../proto/limits.ts';
import { closeReason } from './close-reason.ts';
import type { Transport, TransportOwner } from './transport.ts';

/** Two ends joined in memory: the same bytes as on a socket, delivered in a later turn of the event loop, in order. */
export function loopbackPair(): readonly [Transport, Transport] {
  const a = new LoopbackEnd();
  const b = new LoopbackEnd();
  a.join(b);
  b.join(a);
  return [a, b];
}

interface Parcel {
  readonly bytes: Uint8Array;
  readonly written: (() => void) | undefined;
}

class LoopbackEnd implements Transport {
  #other: LoopbackEnd | undefined;
  #owner: TransportOwner | undefined;
  /** Sent and not yet taken by the other end. */
  #parcels: Parcel[] = [];
  #bufferedBytes = 0;
  #scheduled = false;
  #closing: { readonly code: number; readonly reason: string } | undefined;
  #ended = false;
  readonly #deliver = (): void => {
    this.#scheduled = false;
    this.#handOver();
  };

  join(other: LoopbackEnd): void {
    this.#other = other;
  }

  start(owner: TransportOwner): void {
    this.#owner = owner;
    this.#other?.wake();
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  send(bytes: Uint8Array, written?: () => void): void {
    if (this.#closing !== undefined || this.#ended) {
      written?.();
      return;
    }
    if (bytes.length > MESSAGE_BYTES_MAX) {
      this.#other?.close(CLOSE.size, 'message too large');
      return;
    }
    // The receiver keeps what it gets, and the sender uses its own again.
    this.#parcels.push({ bytes: bytes.slice(), written });
    this.#bufferedBytes += bytes.length;
    this.wake();
  }

  close(code: number, reason: string): void {
    if (this.#closing !== undefined || this.#ended) return;
    this.#closing = { code, reason: closeReason(reason) };
    this.wake();
  }

  /** Hands over in the next turn. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#deliver);
  }

  #handOver(): void {
    const other = this.#other;
    if (other === undefined) return;
    const receiver = other.#owner;
    if (receiver === undefined) return;
    const parcels = this.#parcels;
    this.#parcels = [];
    for (const { bytes, written } of parcels) {
      this.#bufferedBytes -= bytes.length;
      if (other.#closing === undefined && !other.#ended) receiver.message(bytes);
      written?.();
    }
    const closing = this.#closing;
    if (closing === undefined || this.#ended) return;
    other.#end(closing.code, closing.reason);
    this.#end(closing.code, closing.reason);
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    const left = this.#parcels;
    this.#parcels = [];
    this.#bufferedBytes = 0;
    for (const { written } of left) written?.();
    this.#owner?.closed(code, reason);
  }
}
