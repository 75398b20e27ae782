/** Makes a {@link Graph} of the objects that others lead to. */
import {
  CONSTANTS,
  INTEGER_MAX,
  NODE,
  TAG,
  TAG_BITS,
  VIEW_NAMES,
  isPlain,
  isStateful,
  type Graph,
  type GraphBuffer,
  type GraphShape,
  type View,
} from './graph.ts';
import { ModelError, assert } from './model-error.ts';
import type { Anchor, StandIn, StateFields, StateKind } from './saved-state.ts';

/** What is saved in the place of an object; undefined: itself. */
export type ForObject = (object: object) => StandIn | undefined;
const NOBODY: ForObject = () => undefined;

/** How a node was first met: for the words that name it. */
interface Origin {
  readonly from: number;
  readonly key: string;
}

/**
 * The graph of what the anchors lead to. Its buffers are those of the objects: it is good until they change. Throws EOPNOTSUPP, which names the place, for what
 * a snapshot cannot hold: a function, or an object of a class that is none of `kinds`.
 */
export function writeGraph(anchors: readonly Anchor[], kinds: readonly StateKind[], standIn: ForObject = NOBODY): Graph {
  return new GraphWriter(anchors, kinds, standIn).write();
}

class GraphWriter implements StateFields {
  readonly loading = false;
  readonly #anchors: readonly Anchor[];
  readonly #kinds: ReadonlyMap<unknown, string>;
  readonly #standIn: ForObject;
  readonly #ids = new Map<object, number>();
  /** By number, with how each was met. */
  readonly #nodes: object[] = [];
  readonly #origins: Origin[] = [];
  /** Nodes that restoring has an object for. */
  readonly #kept = new Set<number>();
  readonly #fixed = new Set<number>();
  readonly #words: number[] = [];
  readonly #strings = new Map<string, number>();
  readonly #numbers: number[] = [];
  readonly #bigints: bigint[] = [];
  readonly #shapes: GraphShape[] = [];
  readonly #shapeIds = new Map<string, number>();
  readonly #views: { readonly view: View; readonly at: number }[] = [];
  /** Of the node that is written now: its number, and of one with private state, its fields. */
  #at = 0;
  #keys: string[] = [];
  #values: number[] = [];

  constructor(anchors: readonly Anchor[], kinds: readonly StateKind[], standIn: ForObject) {
    this.#standIn = standIn;
    this.#anchors = anchors;
    this.#kinds = new Map(kinds.map(({ type, name }) => [type, name]));
    for (const { name, object, fixed } of anchors) {
      const id = this.#nodes.length;
      assert(this.#idOf(object, -1, name) === id, `${name} is an anchor twice`);
      this.#kept.add(id);
      if (fixed) this.#fixed.add(id);
    }
  }

  write(): Graph {
    for (this.#at = 0; this.#at < this.#nodes.length; this.#at++) this.#writeNode(this.#nodes[this.#at]!);
    return {
      anchors: this.#anchors.map(({ name }) => name),
      strings: [...this.#strings.keys()],
      numbers: this.#numbers,
      bigints: this.#bigints,
      shapes: this.#shapes,
      words: this.#words,
      buffers: this.#placeViews(),
    };
  }

  field<T>(name: string, value: T): T {
    this.#keys.push(name);
    this.#values.push(this.#valueOf(value, name));
    return value;
  }

  lend(name: string, bytes: Uint8Array): Uint8Array {
    return this.field(name, bytes);
  }

  keep(name: string, kept: object): void {
    const known = this.#ids.get(kept);
    const id = known ?? this.#idOf(kept, this.#at, name);
    // One that was met elsewhere before would be made there when it is restored, and not be the one that is kept.
    if (known !== undefined && !this.#kept.has(id)) this.#refuse('a part of another object', this.#at, name);
    this.#kept.add(id);
    this.#keys.push(name);
    this.#values.push(reference(id));
  }

  #writeNode(node: object): void {
    if (this.#fixed.has(this.#at)) {
      this.#words.push(NODE.fixed);
    } else if (ArrayBuffer.isView(node)) {
      this.#writeView(node as View);
    } else if (Array.isArray(node)) {
      this.#words.push(NODE.array, node.length);
      for (let i = 0; i < node.length; i++) this.#words.push(i in node ? this.#valueOf(node[i], `${i}`) : constant('hole'));
    } else if (node instanceof Map) {
      this.#words.push(NODE.map, node.size);
      for (const [key, value] of node) {
        this.#words.push(this.#valueOf(key, 'key'));
        this.#words.push(this.#valueOf(value, nameOf(key)));
      }
    } else if (node instanceof Set) {
      this.#words.push(NODE.set, node.size);
      for (const value of node) this.#words.push(this.#valueOf(value, 'member'));
    } else if (isPlain(node)) {
      this.#writeObject(node as Record<string, unknown>);
    } else {
      this.#writeInstance(node);
    }
  }

  #writeObject(node: Record<string, unknown>): void {
    const keys = Object.keys(node);
    const isKept = this.#kept.has(this.#at);
    this.#words.push(NODE.object, this.#shapeOf('', keys));
    for (const key of keys) {
      const value = node[key];
      // What is there from the start has its parts from the start.
      if (isKept && typeof value === 'object' && value !== null && isStateful(value) && !this.#ids.has(value) && !this.#isKind(value)) {
        const id = this.#idOf(value, this.#at, key);
        this.#kept.add(id);
        this.#words.push(reference(id));
      } else {
        this.#words.push(this.#valueOf(value, key));
      }
    }
  }

  #writeInstance(node: object): void {
    const kind = this.#kinds.get(node.constructor);
    const isKept = this.#kept.has(this.#at);
    if (!isStateful(node) || (kind === undefined && !isKept)) {
      const { from, key } = this.#origins[this.#at]!;
      this.#refuse(`an object of class ${node.constructor.name}, which does not say how it is restored`, from, key);
    }
    this.#keys = [];
    this.#values = [];
    node.state(this);
    this.#words.push(isKept ? NODE.kept : NODE.instance, this.#shapeOf(isKept ? '' : kind!, this.#keys));
    for (const value of this.#values) this.#words.push(value);
  }

  #writeView(view: View): void {
    const type = VIEW_NAMES.indexOf(view[Symbol.toStringTag]);
    if (type < 0) this.#refuse(`a ${view.constructor.name}`, this.#origins[this.#at]!.from, this.#origins[this.#at]!.key);
    this.#views.push({ view, at: this.#words.length + 2 });
    this.#words.push(NODE.view, type, 0, 0, view.length);
  }

  #isKind(value: object): boolean {
    return this.#kinds.has(value.constructor);
  }

  #valueOf(value: unknown, key: string): number {
    switch (typeof value) {
      case 'undefined':
        return constant('undefined');
      case 'boolean':
        return constant(value ? 'true' : 'false');
      case 'number':
        if (Number.isInteger(value) && Math.abs(value) < INTEGER_MAX && !Object.is(value, -0)) {
          return (value < 0 ? -2 * value - 1 : 2 * value) * 8 + TAG.integer;
        }
        return tagged(this.#numbers.push(value) - 1, TAG.number);
      case 'bigint':
        return tagged(this.#bigints.push(value) - 1, TAG.bigint);
      case 'string':
        return tagged(this.#stringId(value), TAG.string);
      case 'object':
        return value === null ? constant('null') : reference(this.#ids.get(value) ?? this.#idOf(value, this.#at, key));
      default:
        return this.#refuse(`a ${typeof value}`, this.#at, key);
    }
  }

  #stringId(value: string): number {
    const known = this.#strings.get(value);
    if (known !== undefined) return known;
    const id = this.#strings.size;
    this.#strings.set(value, id);
    return id;
  }

  #idOf(node: object, from: number, key: string): number {
    const id = this.#nodes.push(this.#standIn(node) ?? node) - 1;
    this.#ids.set(node, id);
    this.#origins.push({ from, key });
    return id;
  }

  #shapeOf(kind: string, keys: readonly string[]): number {
    const text = `${kind}\n${keys.join('\n')}`;
    const known = this.#shapeIds.get(text);
    if (known !== undefined) return known;
    const id = this.#shapes.push({ kind, keys }) - 1;
    this.#shapeIds.set(text, id);
    return id;
  }

  /** Views that overlap share a buffer; bytes that no view has are not saved: they may be anybody's. */
  #placeViews(): readonly GraphBuffer[] {
    const byBuffer = new Map<ArrayBufferLike, { readonly view: View; readonly at: number }[]>();
    for (const place of this.#views) {
      const others = byBuffer.get(place.view.buffer);
      if (others === undefined) byBuffer.set(place.view.buffer, [place]);
      else others.push(place);
    }
    const buffers: GraphBuffer[] = [];
    for (const [buffer, places] of byBuffer) {
      const inOrder = places.toSorted((a, b) => a.view.byteOffset - b.view.byteOffset);
      for (let first = 0; first < inOrder.length;) {
        const start = inOrder[first]!.view.byteOffset;
        let end = start + inOrder[first]!.view.byteLength;
        let next = first + 1;
        for (; next < inOrder.length && inOrder[next]!.view.byteOffset < end; next++) {
          end = Math.max(end, inOrder[next]!.view.byteOffset + inOrder[next]!.view.byteLength);
        }
        for (const { view, at } of inOrder.slice(first, next)) {
          this.#words[at] = buffers.length;
          this.#words[at + 1] = view.byteOffset - start;
        }
        buffers.push({ lead: start % 8, bytes: new Uint8Array(buffer, start, end - start), borrowed: true });
        first = next;
      }
    }
    return buffers;
  }

  #refuse(what: string, from: number, key: string): never {
    const path = [key];
    for (let at = from; at >= 0; at = this.#origins[at]!.from) path.unshift(this.#origins[at]!.key);
    throw new ModelError('EOPNOTSUPP', `a snapshot cannot hold ${path.join('.')}: it is ${what}`, 'machine');
  }
}

function tagged(payload: number, tag: number): number {
  return payload * 2 ** TAG_BITS + tag;
}
function reference(id: number): number {
  return tagged(id, TAG.reference);
}
function constant(name: keyof typeof CONSTANTS): number {
  return tagged(CONSTANTS[name], TAG.constant);
}

function nameOf(key: unknown): string {
  return typeof key === 'number' || typeof key === 'string' ? `${key}` : 'value';
}
