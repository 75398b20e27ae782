/** Sizes are rounded up to a multiple of this: a packet with 64 KiB in it fits one that carried another. */
const CLASS_BYTES = 16 << 10;
/** Smaller ones cost less to make than to keep. */
const POOLED_BYTES_MIN = 4 << 10;
/** Kept at most, for all machines of the process together: what eight clients have in flight who read 64 KiB at depth 16. */
const KEPT_BYTES_MAX = 16 << 20;

/**
 * Buffers for bulk bytes on their way out, used again. A new one costs the operating system a cleared page for every 4 KiB, which is
 * several times what copying the bytes costs.
 */
export class Buffers {
  /** By size class. */
  readonly #free = new Map<number, ArrayBuffer[]>();
  #keptBytes = 0;
  /** What has been handed out and not come back. One that never does is the garbage collector's. */
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** `bytes` bytes that hold anything: whoever takes them writes every one before showing them. */
  take(bytes: number): Uint8Array {
    if (bytes < POOLED_BYTES_MIN) return Buffer.allocUnsafe(bytes);
    const size = Math.ceil(bytes / CLASS_BYTES) * CLASS_BYTES;
    let buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) buffer = new ArrayBuffer(size);
    else this.#keptBytes -= size;
    this.#lent.add(buffer);
    return Buffer.from(buffer, 0, bytes);
  }

  /** Nobody looks at these bytes any more. What did not come from {@link take}, or has come back already, is left alone. */
  give({ buffer }: Uint8Array): void {
    // A lone reply is in Node's own small buffers, and must not pay for a look.
    if (buffer.byteLength < CLASS_BYTES || !(buffer instanceof ArrayBuffer) || !this.#lent.delete(buffer)) return;
    const size = buffer.byteLength;
    if (this.#keptBytes + size > KEPT_BYTES_MAX) return;
    this.#keptBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
  }
}
