// long: the words of one format, read in one pass
/** Makes the objects of a {@link Graph} again. */
import {
  CONSTANTS,
  NODE,
  TAG,
  TAG_BITS,
  VIEW_NAMES,
  VIEW_TYPES,
  isPlain,
  isStateful,
  standsFor,
  type Graph,
  type GraphBuffer,
  type GraphShape,
  type View,
} from './graph.ts';
import { ModelError } from './model-error.ts';
import type { Anchor, StateFields, StateKind, Stateful } from './saved-state.ts';

const UNDEFINED = CONSTANTS.undefined * 2 ** TAG_BITS + TAG.constant;

/**
 * Gives the anchors what the graph has for them, and makes all that they lead to; what of its buffers is not borrowed becomes part of that. Throws EINVAL, which says what does not
 * fit, for a graph of other anchors, kinds or fields: then the anchors are good for nothing.
 */
export function readGraph(graph: Graph, anchors: readonly Anchor[], kinds: readonly StateKind[]): void {
  new GraphReader(graph, anchors, kinds).read();
}

class GraphReader implements StateFields {
  readonly loading = true;
  readonly #graph: Graph;
  readonly #kinds: ReadonlyMap<string, StateKind>;
  /** Where each node is among the words. */
  readonly #starts: readonly number[];
  readonly #objects: (object | undefined)[];
  readonly #buffers: GraphBuffer[];
  /** Instances that are being made: none needs itself. */
  readonly #making = new Set<number>();
  /** Of the object with private state that is loaded now. */
  #shape: GraphShape = { kind: '', keys: [] };
  #values = 0;
  #next = 0;

  constructor(graph: Graph, anchors: readonly Anchor[], kinds: readonly StateKind[]) {
    this.#graph = graph;
    this.#kinds = new Map(kinds.map((kind) => [kind.name, kind]));
    this.#starts = startsOf(graph);
    this.#buffers = [...graph.buffers];
    this.#objects = Array.from({ length: this.#starts.length }, () => undefined);
    for (let i = 0; i < Math.max(anchors.length, graph.anchors.length); i++) {
      const anchor = anchors[i];
      const name = graph.anchors[i];
      if (anchor === undefined || anchor.name !== name || i >= this.#starts.length) {
        throw wrong(`it has ${name ?? 'nothing'} where the machine has ${anchor?.name ?? 'nothing'}`);
      }
      if (anchor.fixed !== (this.#word(this.#starts[i]!) === NODE.fixed)) throw wrong(`${name} is no state`);
      this.#objects[i] = anchor.object;
    }
  }

  read(): void {
    for (const [id, start] of this.#starts.entries()) this.#fill(this.#objectOf(id), start);
  }

  field<T>(name: string): T {
    return this.#valueOf(this.#take(name)) as T;
  }

  lend(name: string): Uint8Array {
    const word = this.#take(name);
    const start = this.#starts[Math.floor(word / 2 ** TAG_BITS)] ?? -1;
    const buffer =
      word % 2 ** TAG_BITS === TAG.reference && this.#word(start) === NODE.view ? this.#buffers[this.#word(start + 2)] : undefined;
    if (buffer === undefined) throw wrong(`${name} is no bytes`);
    const offset = this.#word(start + 3);
    const bytes = buffer.bytes.subarray(offset, offset + this.#word(start + 4));
    this.#bind(word, bytes, name);
    return bytes;
  }

  keep(name: string, kept: object): void {
    const word = this.#take(name);
    this.#bind(word, kept, name);
    // What follows from bytes can be made at once; they lead to nothing else.
    if (ArrayBuffer.isView(kept)) this.#fill(kept, this.#starts[Math.floor(word / 2 ** TAG_BITS)]!);
  }

  #take(name: string): number {
    const { kind, keys } = this.#shape;
    const next = keys[this.#next];
    if (next !== name) throw wrong(`${kind || 'an object'} has ${next ?? 'no more'} where ${name} should be`);
    return this.#word(this.#values + this.#next++);
  }

  #bind(value: number, object: object, name: string): void {
    const id = Math.floor(value / 2 ** TAG_BITS);
    if (value % 2 ** TAG_BITS !== TAG.reference || id >= this.#starts.length) throw wrong(`${name} is no object`);
    const known = this.#objects[id];
    if (known !== undefined && known !== object) throw wrong(`${name} is two objects`);
    this.#objects[id] = object;
  }

  #fill(object: object, start: number): void {
    const kind = this.#word(start);
    switch (kind) {
      case NODE.fixed:
        return;
      case NODE.view:
        this.#fillView(object, start);
        return;
      case NODE.array:
        if (!Array.isArray(object)) throw wrong('an array is none');
        this.#fillArray(object as unknown[], start);
        return;
      case NODE.map:
        if (!(object instanceof Map)) throw wrong('a map is none');
        this.#fillMap(object as Map<unknown, unknown>, start);
        return;
      case NODE.set:
        if (!(object instanceof Set)) throw wrong('a set is none');
        object.clear();
        for (let i = 0; i < this.#word(start + 1); i++) object.add(this.#valueOf(this.#word(start + 2 + i)));
        return;
      case NODE.object:
        if (!isPlain(object)) throw wrong('an object is none');
        this.#fillObject(object as Record<string, unknown>, start);
        return;
      default:
        if (!isStateful(object)) throw wrong('an object of a class has no state');
        this.#load(object, start);
    }
  }

  #load(object: Stateful, start: number): void {
    this.#shape = this.#shapeAt(start);
    this.#values = start + 2;
    this.#next = 0;
    object.state(this);
    const left = this.#shape.keys[this.#next];
    if (left !== undefined) throw wrong(`${object.constructor.name} has no ${left}`);
  }

  #fillArray(array: unknown[], start: number): void {
    const length = this.#word(start + 1);
    array.length = 0;
    for (let i = 0; i < length; i++) {
      const word = this.#word(start + 2 + i);
      if (word === CONSTANTS.hole * 2 ** TAG_BITS + TAG.constant) array.length = i + 1;
      else array[i] = this.#valueOf(word);
    }
  }

  #fillMap(map: Map<unknown, unknown>, start: number): void {
    const size = this.#word(start + 1);
    map.clear();
    for (let i = 0; i < size; i++) map.set(this.#valueOf(this.#word(start + 2 + 2 * i)), this.#valueOf(this.#word(start + 3 + 2 * i)));
  }

  #fillObject(object: Record<string, unknown>, start: number): void {
    const { keys } = this.#shapeAt(start);
    const own = Object.keys(object);
    const parts = new Map(own.map((key) => [key, object[key]]));
    // The order of fields is seen by whoever goes through them.
    if (own.length !== keys.length || own.some((key, i) => key !== keys[i])) for (const key of own) delete object[key];
    for (const [i, key] of keys.entries()) {
      if (key === '__proto__') throw wrong('a field has no name');
      const word = this.#word(start + 2 + i);
      const part = parts.get(key);
      if (this.#isUnboundPart(word) && typeof part === 'object' && part !== null) this.#bind(word, part, key);
      object[key] = word === UNDEFINED ? undefined : this.#valueOf(word);
    }
  }

  #isUnboundPart(word: number): boolean {
    if (word % 2 ** TAG_BITS !== TAG.reference) return false;
    const id = Math.floor(word / 2 ** TAG_BITS);
    const start = this.#starts[id];
    return start !== undefined && this.#objects[id] === undefined && this.#word(start) === NODE.kept;
  }

  #fillView(object: object, start: number): void {
    if (!ArrayBuffer.isView(object)) throw wrong('a typed array is none');
    const kept = object as View;
    const from = this.#buffers[this.#word(start + 2)]?.bytes;
    if (kept.buffer === from?.buffer && kept.byteOffset === from.byteOffset + this.#word(start + 3)) return;
    const saved = this.#viewAt(start);
    if (kept[Symbol.toStringTag] !== saved[Symbol.toStringTag] || kept.length !== saved.length) {
      throw wrong(`a ${kept[Symbol.toStringTag]} of ${kept.length} is a ${saved[Symbol.toStringTag]} of ${saved.length}`);
    }
    (kept as Uint8Array).set(saved as Uint8Array);
  }

  #viewAt(start: number): View {
    const type = VIEW_TYPES[VIEW_NAMES[this.#word(start + 1)] ?? 'Uint8Array'];
    const buffer = this.#bufferOf(start);
    const offset = this.#word(start + 3);
    const length = this.#word(start + 4);
    if (buffer === undefined || offset + length * type.BYTES_PER_ELEMENT > buffer.bytes.length)
      throw wrong('a typed array is beyond its bytes');
    return new type(buffer.bytes.buffer as ArrayBuffer, buffer.bytes.byteOffset + offset, length);
  }

  /** Its own from here on. */
  #bufferOf(start: number): GraphBuffer | undefined {
    const id = this.#word(start + 2);
    const buffer = this.#buffers[id];
    if (buffer?.borrowed !== true) return buffer;
    const bytes = new Uint8Array(buffer.lead + buffer.bytes.length).subarray(buffer.lead);
    bytes.set(buffer.bytes);
    return (this.#buffers[id] = { lead: buffer.lead, bytes, borrowed: false });
  }

  #objectOf(id: number): object {
    return (this.#objects[id] ??= this.#make(id));
  }

  #make(id: number): object {
    const start = this.#starts[id];
    if (start === undefined) throw wrong(`it has no object ${id}`);
    switch (this.#word(start)) {
      case NODE.object:
        return {};
      case NODE.array:
        return [];
      case NODE.map:
        return new Map();
      case NODE.set:
        return new Set();
      case NODE.view:
        return this.#viewAt(start);
      case NODE.instance:
        return this.#makeInstance(id, start);
      default:
        throw wrong('a part is met before what it is a part of');
    }
  }

  #makeInstance(id: number, start: number): Stateful {
    const shape = this.#shapeAt(start);
    const kind = this.#kinds.get(shape.kind);
    if (kind === undefined) throw wrong(`there is no kind of object '${shape.kind}'`);
    if (this.#making.has(id)) throw wrong(`a ${kind.name} is made of itself`);
    this.#making.add(id);
    const made = kind.make((name) => {
      const at = shape.keys.indexOf(name);
      if (at < 0) throw wrong(`${kind.name} has no ${name}`);
      const word = this.#word(start + 2 + at);
      const value = this.#valueOf(word);
      // What else is made when its turn comes is there now.
      if (Array.isArray(value)) this.#fill(value, this.#starts[Math.floor(word / 2 ** TAG_BITS)]!);
      return value;
    });
    this.#making.delete(id);
    return made;
  }

  #valueOf(value: number): unknown {
    const payload = Math.floor(value / 2 ** TAG_BITS);
    const { strings, numbers, bigints } = this.#graph;
    switch (value % 2 ** TAG_BITS) {
      case TAG.integer:
        return payload % 2 === 0 ? payload / 2 : -(payload + 1) / 2;
      case TAG.reference:
        return standsFor(this.#objectOf(payload));
      case TAG.string:
        return found(strings, payload);
      case TAG.number:
        return found(numbers, payload);
      case TAG.bigint:
        return found(bigints, payload);
      default:
        return constantOf(payload);
    }
  }

  #shapeAt(start: number): GraphShape {
    return found(this.#graph.shapes, this.#word(start + 1));
  }

  #word(at: number): number {
    return found(this.#graph.words, at);
  }
}

/** Where each node begins; every one is whole. */
function startsOf({ words, shapes }: Graph): readonly number[] {
  const starts: number[] = [];
  let at = 0;
  while (at < words.length) {
    starts.push(at);
    const count = words[at + 1] ?? 0;
    at += SIZES[words[at]!]?.(count, shapes) ?? Infinity;
  }
  if (at !== words.length) throw wrong('its last object is not whole');
  return starts;
}

const fields = (shape: number, shapes: readonly GraphShape[]): number => 2 + (shapes[shape]?.keys.length ?? Infinity);
/** By {@link NODE}: words of a node, by its second. */
const SIZES: Readonly<Record<number, (second: number, shapes: readonly GraphShape[]) => number>> = {
  [NODE.object]: fields,
  [NODE.array]: (length) => 2 + length,
  [NODE.map]: (size) => 2 + 2 * size,
  [NODE.set]: (size) => 2 + size,
  [NODE.view]: () => 5,
  [NODE.instance]: fields,
  [NODE.kept]: fields,
  [NODE.fixed]: () => 1,
};

function constantOf(payload: number): undefined | null | boolean {
  if (payload === CONSTANTS.undefined) return undefined;
  if (payload === CONSTANTS.null) return null;
  if (payload === CONSTANTS.false || payload === CONSTANTS.true) return payload === CONSTANTS.true;
  throw wrong(`it has no constant ${payload}`);
}

function found<T>(list: readonly T[], at: number): T {
  if (at < 0 || at >= list.length) throw wrong(`it refers to ${at} of ${list.length}`);
  return list[at] as T;
}

function wrong(what: string): ModelError {
  return new ModelError('EINVAL', `the snapshot does not fit this machine: ${what}`, 'snapshot');
}
