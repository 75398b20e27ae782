import type { StateFields } from '../base/index.ts';

/**
 * The trace hash: 64 bits over every input and every item of the outbox, in order. Equal inputs give equal hashes; nothing in it depends on
 * packets, sockets or observers.
 */
export class TraceHash {
  #a = 0x9e3779b9 | 0;
  #b = 0x85ebca6b | 0;

  addInt(value: number): void {
    const mixed = Math.imul(this.#a ^ value, 0xcc9e2d51);
    this.#a = (mixed << 15) | (mixed >>> 17);
    this.#b = Math.imul(this.#b + this.#a, 0x1b873593) ^ (this.#b >>> 13);
  }

  /** A number that may be beyond 32 bits, negative, or not finite. */
  addNumber(value: number): void {
    if ((value | 0) === value) {
      this.addInt(value);
      return;
    }
    NUMBER[0] = value;
    this.addInt(NUMBER_WORDS[0]!);
    this.addInt(NUMBER_WORDS[1]!);
  }

  addText(text: string): void {
    this.addInt(text.length);
    for (let i = 0; i < text.length; i++) this.addInt(text.charCodeAt(i));
  }

  addBytes(bytes: Uint8Array): void {
    const { byteOffset, byteLength } = bytes;
    this.addInt(byteLength);
    // The sum is of the bytes, wherever they stand in their buffer.
    const aligned = (byteOffset & 3) === 0 ? bytes : new Uint8Array(bytes);
    this.#addWords(new Int32Array(aligned.buffer, aligned.byteOffset, byteLength >> 2));
    for (let i = byteLength & ~3; i < byteLength; i++) this.addInt(bytes[i]!);
  }

  /** Bulk data in four independent lanes, so that a multiplication does not wait for the one before it. */
  #addWords(words: Int32Array): void {
    const whole = words.length & ~3;
    let a = 1;
    let b = 2;
    let c = 3;
    let d = 4;
    for (let i = 0; i < whole; i += 4) {
      a = Math.imul(a ^ words[i]!, 0xcc9e2d51);
      a = (a << 15) | (a >>> 17);
      b = Math.imul(b ^ words[i + 1]!, 0x1b873593);
      b = (b << 13) | (b >>> 19);
      c = Math.imul(c ^ words[i + 2]!, 0x85ebca6b);
      c = (c << 17) | (c >>> 15);
      d = Math.imul(d ^ words[i + 3]!, 0xc2b2ae35);
      d = (d << 11) | (d >>> 21);
    }
    this.addInt(a);
    this.addInt(b);
    this.addInt(c);
    this.addInt(d);
    for (let i = whole; i < words.length; i++) this.addInt(words[i]!);
  }

  /**
   * Bulk data that was read out of the machine, which the inputs before it determine: whole up to {@link READ_WHOLE_BYTES}, of more the length and
   * one word of {@link READ_STRIDE_WORDS} (ADR 0004).
   */
  addRead(bytes: Uint8Array): void {
    const { byteOffset, byteLength } = bytes;
    if (byteLength <= READ_WHOLE_BYTES) {
      this.addBytes(bytes);
      return;
    }
    this.addInt(byteLength);
    let sum = 1;
    if ((byteOffset & 3) === 0) {
      const words = new Int32Array(bytes.buffer, byteOffset, byteLength >> 2);
      for (let i = 0; i < words.length; i += READ_STRIDE_WORDS) {
        sum = Math.imul(sum ^ words[i]!, 0xcc9e2d51);
        sum = (sum << 15) | (sum >>> 17);
      }
    } else {
      // What a memory owner answered, where it stood in its packet: the same sum.
      const view = new DataView(bytes.buffer, byteOffset, byteLength & ~3);
      for (let i = 0; i < view.byteLength; i += 4 * READ_STRIDE_WORDS) {
        sum = Math.imul(sum ^ view.getInt32(i, true), 0xcc9e2d51);
        sum = (sum << 15) | (sum >>> 17);
      }
    }
    this.addInt(sum);
  }

  /** Any plain value: fields in the order in which its maker wrote them. */
  addValue(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.addNumber(value);
        break;
      case 'string':
        this.addText(value);
        break;
      case 'boolean':
        this.addInt(value ? 1 : 2);
        break;
      case 'bigint':
        this.addText(value.toString(36));
        break;
      case 'object':
        this.#addObject(value);
        break;
      default:
        this.addInt(3);
    }
  }

  #addObject(value: object | null): void {
    if (value === null) {
      this.addInt(4);
    } else if (value instanceof Uint8Array) {
      this.addBytes(value);
    } else if (Array.isArray(value)) {
      this.addInt(value.length);
      for (const item of value as readonly unknown[]) this.addValue(item);
    } else {
      for (const field in value) {
        const inner = (value as Record<string, unknown>)[field];
        if (inner === undefined) continue;
        this.addText(field);
        this.addValue(inner);
      }
      this.addInt(5);
    }
  }

  state(fields: StateFields): void {
    this.#a = fields.field('a', this.#a);
    this.#b = fields.field('b', this.#b);
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex32(avalanche(this.#a ^ Math.imul(this.#b, 0x9e3779b1))) + hex32(avalanche(this.#b ^ Math.imul(this.#a, 0x85ebca77)));
  }
}

/** What a register block or a descriptor has. */
const READ_WHOLE_BYTES = 1024;
/** 68 bytes: about a word of each cache line, and every word of a line in its turn. */
const READ_STRIDE_WORDS = 17;

const NUMBER = new Float64Array(1);
const NUMBER_WORDS = new Int32Array(NUMBER.buffer);

function avalanche(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
