import { describe, expect, it } from 'vitest';
import { readGraph, writeGraph, type Graph, type StateFields, type StateKind, type Stateful } from '../../../server/src/core/base/index.ts';

/** Of one value, in a place of its own. */
function written(value: unknown, kinds: readonly StateKind[] = []): Graph {
  return writeGraph([{ name: 'place', object: { value }, fixed: false }], kinds);
}
function read(graph: Graph, kinds: readonly StateKind[] = []): unknown {
  const place: { value?: unknown } = {};
  readGraph(graph, [{ name: 'place', object: place, fixed: false }], kinds);
  return place.value;
}
function again<T>(value: T, kinds: readonly StateKind[] = []): T {
  return read(structuredClone(written(value, kinds)), kinds) as T;
}

class Counter implements Stateful {
  readonly #limit: number;
  readonly #seen = new Map<string, object>();
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  see(name: string, what: object): void {
    this.#seen.set(name, what);
    this.#count = Math.min(this.#count + 1, this.#limit);
  }
  seen(name: string): object | undefined {
    return this.#seen.get(name);
  }
  get count(): number {
    return this.#count;
  }

  state(fields: StateFields): void {
    fields.field('limit', this.#limit);
    fields.keep('seen', this.#seen);
    this.#count = fields.field('count', this.#count);
  }
}
const COUNTER: StateKind = { name: 'counter', type: Counter, make: (field) => new Counter(field('limit') as number) };

describe('values', () => {
  it.each([
    0,
    -0,
    1,
    -1,
    2 ** 31,
    -(2 ** 31),
    2 ** 47,
    2 ** 48,
    -(2 ** 48),
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    0.1,
    -1.5e300,
    Infinity,
    -Infinity,
    NaN,
    0n,
    -1n,
    1n << 80n,
    '',
    'text',
    '\u{1f600} \ud83d',
    true,
    false,
    null,
    undefined,
  ])('%s comes back as it was', (value) => {
    expect(Object.is(again(value), value)).toBe(true);
  });

  it('fields that are undefined are there, and fields stay in their order', () => {
    const found = again<object>({ b: 1, a: undefined, c: { z: 1, y: 2 } });
    expect(Object.entries(found)).toEqual([
      ['b', 1],
      ['a', undefined],
      ['c', { z: 1, y: 2 }],
    ]);
  });

  it('arrays keep their holes and their length', () => {
    const holes: number[] = [];
    holes[2] = 7;
    holes.length = 5;
    const found = again(holes);
    expect([found.length, Object.keys(found)]).toEqual([5, ['2']]);
  });

  it('maps and sets keep their order, and keys of any type', () => {
    const key = { is: 'key' };
    const found = again({
      key,
      map: new Map<unknown, unknown>([
        [2, 'b'],
        [1, 'a'],
        [key, new Set([3, 1, 2])],
      ]),
    });
    expect([...found.map.keys()]).toEqual([2, 1, { is: 'key' }]);
    expect(found.map.get(found.key)).toEqual(new Set([3, 1, 2]));
    expect([...(found.map.get(found.key) as Set<number>)]).toEqual([3, 1, 2]);
  });
});

describe('identity', () => {
  it('what was one object is one object, in a cycle too', () => {
    const shared = { n: 1 };
    const ring: Record<string, unknown> = { a: shared, b: [shared] };
    ring['self'] = ring;
    const found = again(ring);
    expect(found['self']).toBe(found);
    expect((found['b'] as unknown[])[0]).toBe(found['a']);
  });

  it('a list of any length is no matter of the stack', () => {
    let list: { next: unknown } | undefined;
    for (let i = 0; i < 200_000; i++) list = { next: list };
    let length = 0;
    for (let at = again(list); at !== undefined; at = at.next as typeof at) length++;
    expect(length).toBe(200_000);
  });

  it('views that overlap share bytes, others do not, and nothing else of their buffer is saved', () => {
    const pool = Uint8Array.from({ length: 64 }, (_, i) => i);
    const views = { a: pool.subarray(8, 24), b: new Uint32Array(pool.buffer, 16, 2), c: pool.subarray(40, 44), none: pool.subarray(3, 3) };
    const graph = written(views);
    expect(graph.buffers.map(({ bytes }) => bytes.length).toSorted((x, y) => x - y)).toEqual([0, 4, 16]);
    const found = read(structuredClone(graph)) as typeof views;
    expect(found).toEqual({
      a: pool.slice(8, 24),
      b: new Uint32Array(pool.slice(16, 24).buffer),
      c: pool.slice(40, 44),
      none: new Uint8Array(0),
    });
    found.b[0] = 0xffff_ffff;
    expect([...found.a.subarray(8, 12)]).toEqual([255, 255, 255, 255]);
    expect([...found.c]).toEqual([40, 41, 42, 43]);
  });

  it('a view that is not aligned to its buffer stays so', () => {
    const words = new Int32Array(4);
    words[2] = -5;
    const bytes = new Uint8Array(words.buffer, 3, 10);
    const found = again({ bytes, word: new Int32Array(words.buffer, 8, 1) });
    expect([found.word[0], found.bytes.length]).toEqual([-5, 10]);
    found.bytes[5] = 0;
    expect(found.word[0]).toBe(-256 + (found.word[0]! & 0xff));
  });
});

describe('objects with private state', () => {
  it('are made by their kind, and share what they hold', () => {
    const held = { n: 1 };
    const counter = new Counter(5);
    counter.see('x', held);
    const found = again({ held, counter, twice: [counter] }, [COUNTER]);
    expect(found.twice[0]).toBe(found.counter);
    expect(found.counter.seen('x')).toBe(found.held);
    expect(found.counter.count).toBe(1);
    found.counter.see('y', held);
    expect(counter.seen('y')).toBeUndefined();
  });

  it('that are kept get their state where they are', () => {
    const from = new Counter(9);
    from.see('x', { n: 1 });
    const graph = writeGraph([{ name: 'counter', object: from, fixed: false }], []);
    const to = new Counter(9);
    to.see('gone', {});
    readGraph(graph, [{ name: 'counter', object: to, fixed: false }], []);
    expect([to.count, to.seen('x'), to.seen('gone')]).toEqual([1, { n: 1 }, undefined]);
  });

  it('that are fixed are referred to, and nothing of them is saved', () => {
    const wiring = { call: () => 1 };
    const anchors = (place: object) => [
      { name: 'wiring', object: wiring, fixed: true },
      { name: 'place', object: place, fixed: false },
    ];
    const place: { uses?: unknown } = {};
    readGraph(writeGraph(anchors({ uses: wiring }), []), anchors(place), []);
    expect(place.uses).toBe(wiring);
  });
});

describe('what a snapshot cannot hold is named', () => {
  it.each([
    [{ list: [{ task: { onEnd: () => undefined } }] }, 'place.value.list.0.task.onEnd: it is a function'],
    [{ made: new Counter(1) }, 'place.value.made: it is an object of class Counter'],
    [new Map([['at', new Date(0)]]), 'place.value.at: it is an object of class Date'],
    [{ mark: Symbol('x') }, 'place.value.mark: it is a symbol'],
    [{ view: new DataView(new ArrayBuffer(1)) }, 'place.value.view: it is a DataView'],
    [{ bytes: new ArrayBuffer(1) }, 'place.value.bytes: it is an object of class ArrayBuffer'],
  ])('%o', (value, message) => {
    expect(() => written(value)).toThrow(message);
  });
});

describe('a graph that does not fit is refused', () => {
  const graph = written({ n: 1, list: [1, 2] });
  const changed = (change: Partial<Graph>): Graph => ({ ...graph, ...change });

  it.each([
    ['another anchor', changed({ anchors: ['other'] }), 'has other where the machine has place'],
    ['an anchor more', changed({ anchors: ['place', 'more'] }), 'has more where the machine has nothing'],
    ['words that end', changed({ words: graph.words.slice(0, -1) }), 'not whole'],
    ['no node of this kind', changed({ words: [...graph.words, 99, 0] }), 'not whole'],
    [
      'a number that is no node',
      changed({ words: graph.words.map((word) => (word % 8 === 1 && word > 8 ? 8001 : word)) }),
      'no object 1000',
    ],
    ['no strings or shapes', changed({ shapes: [] }), 'not whole'],
    [
      'a key without a name',
      changed({ shapes: graph.shapes.map(({ kind, keys }) => ({ kind, keys: ['__proto__', ...keys.slice(1)] })) }),
      'no name',
    ],
  ])('%s', (_what, wrong, message) => {
    expect(() => read(wrong)).toThrow(message);
  });

  it('fields of a class that are others than it has', () => {
    const saved = writeGraph([{ name: 'counter', object: new Counter(1), fixed: false }], []);
    for (const keys of [
      ['limit', 'seen'],
      ['limit', 'seen', 'count', 'more'],
      ['seen', 'limit', 'count'],
    ]) {
      const shapes = saved.shapes.map((shape) => ({ ...shape, keys }));
      const words = [...saved.words.slice(0, 2), ...Array.from(keys, () => 0), ...saved.words.slice(5)];
      expect(() => readGraph({ ...saved, shapes, words }, [{ name: 'counter', object: new Counter(1), fixed: false }], [])).toThrow(
        'does not fit',
      );
    }
  });

  it('an object of a class that nobody knows', () => {
    expect(() => read(written(new Counter(1), [COUNTER]))).toThrow("no kind of object 'counter'");
  });
});
