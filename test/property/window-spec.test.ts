/**
 * The whole core against the executable specification of the reset window (kit/window-spec.ts): the same answers, the same state after each
 * operation, the same memory. More than 100,000 random operations, over two behaviours and both kinds of isolation.
 */
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { NO_PASID } from '../../server/src/core/base/index.ts';
import type { Behaviour, Command, Isolation, Reply } from '../../server/src/core/machine/index.ts';
import { CoreMachine, FIRST, MS, RAM, SECOND, SIBLINGS, writeCommand } from '../kit/core-machine.ts';
import { same } from '../kit/same.ts';
import { NEW_DOMAINS, PAGES, PASIDS, WindowSpec, type DomainName } from '../kit/window-spec.ts';

const FUNCTIONS = [FIRST, SECOND] as const;
const IOVA = 0x1_0000n;
/** Of each function; relaxable, so that the group can be claimed. */
const REGION = { address: RAM + 0xf_0000n, bytes: 0x1000n, relaxable: true };
const RUNS = 170;
const RUNS_DIRECT = 60;
const OPERATIONS_MAX = 500;
/** Together at least. */
const OPERATIONS_LEAST = 100_000;

class System {
  readonly m: CoreMachine;
  readonly ids = new Map<DomainName, number>();
  readonly windows = new Set<number>();
  readonly pages: readonly bigint[];

  constructor(behaviour: Behaviour, isolation: Isolation) {
    this.m = new CoreMachine({ behaviour, isolation, functions: SIBLINGS.map((one) => ({ ...one, directRegions: [REGION] })) });
    const { functions } = this.m.machine.inspect();
    const { group } = functions[0]!;
    for (const { windowDomain } of functions) if (windowDomain.id !== group.blockingDomain.id) this.windows.add(windowDomain.id);
    this.ids.set('default', group.defaultDomain!.id);
    for (const name of NEW_DOMAINS) this.ids.set(name, this.m.allocDomain(name === 'blocked' ? 'blocked' : 'paging'));
    this.pages = Array.from({ length: PAGES }, () => this.m.allocPage());
  }
  /** The word for a reply: `ok`, or the refusal. */
  word(command: Command): string {
    const reply = this.reply(command);
    return reply.kind === 'refused' ? reply.code : 'ok';
  }
  reply(command: Command): Reply {
    const { reply } = this.m.start(command);
    if (reply === undefined) expect.fail(`${command.kind} is not answered in its own step`);
    return reply;
  }
  nameOf(id: number): DomainName {
    for (const [name, known] of this.ids) if (known === id) return name;
    return this.windows.has(id) ? 'window' : 'blocking';
  }
}

abstract class Operation implements fc.Command<WindowSpec, System> {
  check(): boolean {
    return true;
  }
  run(spec: WindowSpec, system: System): void {
    operations++;
    this.both(spec, system);
    const { functions } = system.m.machine.inspect();
    for (const [at, fn] of functions.entries()) {
      const name = (held: { readonly id: number } | undefined): DomainName | undefined =>
        held === undefined ? undefined : system.nameOf(held.id);
      // What was detached in a window stays blocked in the hardware until it closes (fc3523b16d2b).
      for (const left of fn.pasids) if (left.logical === undefined) same([fn.blocked, name(left.physical)], [true, 'blocking']);
      const pasids = fn.pasids.filter(({ logical }) => logical !== undefined).toSorted((one, other) => one.pasid - other.pasid);
      const is = {
        blocked: fn.blocked,
        depth: fn.resetDepth,
        physical: name(fn.physical),
        domain: name(fn.group.domain),
        owned: fn.group.owned,
        recovery: fn.group.recoveryCount,
        pasids: pasids.map(({ pasid: number, logical, physical }) => [number, name(logical), name(physical)]),
      };
      same(is, {
        blocked: spec.blocked(at),
        depth: spec.functions[at]!.windows.length,
        physical: spec.physical(at),
        domain: spec.domain,
        owned: spec.owned,
        recovery: spec.recovery,
        pasids: PASIDS.filter((number) => spec.pasids.has(number)).map((number) => [
          number,
          spec.pasids.get(number),
          spec.physicalPasid(at, number),
        ]),
      });
    }
  }
  protected abstract both(spec: WindowSpec, system: System): void;
  abstract toString(): string;
}
let operations = 0;

/** An operation by what it asks, and what the specification says to it. */
function operation<A extends readonly unknown[]>(
  name: string,
  both: (spec: WindowSpec, system: System, ...args: A) => void,
  ...arbitraries: { readonly [K in keyof A]: fc.Arbitrary<A[K]> }
): fc.Arbitrary<fc.Command<WindowSpec, System>> {
  return fc.tuple(...(arbitraries as unknown as fc.Arbitrary<unknown>[])).map((drawn) => {
    const args = drawn as unknown as A;
    return new (class extends Operation {
      protected both(spec: WindowSpec, system: System): void {
        both(spec, system, ...args);
      }
      toString(): string {
        return `${name}(${args.join(', ')})`;
      }
    })();
  });
}

const fn = fc.constantFrom(0, 1);
const token = fc.constantFrom('a', 'b', 'c');
const domain = fc.constantFrom<DomainName>('default', ...NEW_DOMAINS);
const paging = fc.constantFrom('default' as const, 'A' as const, 'B' as const);
const page = fc.integer({ min: 0, max: PAGES - 1 });
const pasid = fc.constantFrom(0, ...PASIDS);

const ALL = [
  operation<[number, string]>(
    'prepare',
    (spec, system, at, name) => {
      const depth = spec.prepare(at, name);
      const reply = system.reply({ kind: 'reset-prepare', bdf: FUNCTIONS[at]!, token: name, deadlineNs: 10 * MS, onDeadline: 'abort' });
      expect(reply).toMatchObject({ kind: 'reset-prepare', timedOut: 0, aborted: 0 });
      if (depth > 0 && reply.kind === 'reset-prepare') expect(reply.depth).toBe(depth);
    },
    fn,
    token,
  ),
  operation<[number, string | undefined]>(
    'done',
    (spec, system, at, name) => {
      const open = name === undefined ? spec.blocked(at) : spec.functions[at]!.windows.includes(name);
      const depth = spec.done(at, name);
      const reply = system.reply({ kind: 'reset-done', bdf: FUNCTIONS[at]!, token: name ?? '', all: name === undefined });
      expect(reply).toMatchObject({ kind: 'reset-done' });
      if (open && reply.kind === 'reset-done') expect(reply).toMatchObject({ depth, warning: '' });
    },
    fn,
    fc.option(token, { nil: undefined }),
  ),
  operation<[number]>(
    'reset',
    (_spec, system, at) => {
      expect(system.word({ kind: 'reset', bdf: FUNCTIONS[at]!, method: 'flr', window: true, deadlineNs: MS, onDeadline: 'abort' })).toBe(
        'ok',
      );
    },
    fn,
  ),
  operation<[number, DomainName]>(
    'attach',
    (spec, system, at, name) => expect(system.word(system.m.attach(FUNCTIONS[at]!, system.ids.get(name)!))).toBe(spec.attach(name)),
    fn,
    domain,
  ),
  operation<[number]>(
    'detach',
    (spec, system, at) => expect(system.word({ kind: 'domain-detach', bdf: FUNCTIONS[at]! })).toBe(spec.detach()),
    fn,
  ),
  operation<[number]>(
    'claim',
    (spec, system, at) => expect(system.word({ kind: 'owner-claim', bdf: FUNCTIONS[at]! })).toBe(spec.claim()),
    fn,
  ),
  operation<[number]>(
    'release',
    (spec, system, at) => expect(system.word({ kind: 'owner-release', bdf: FUNCTIONS[at]! })).toBe(spec.release()),
    fn,
  ),
  operation<[number, number, DomainName, boolean]>(
    'attachPasid',
    (spec, system, at, number, name, replace) => {
      const word = system.word(system.m.attachPasid(FUNCTIONS[at]!, number, system.ids.get(name)!, replace));
      expect(word).toBe(spec.attachPasid(number, name, replace));
    },
    fn,
    pasid,
    domain,
    fc.boolean(),
  ),
  operation<[number, number]>(
    'detachPasid',
    (spec, system, at, number) => expect(system.word(system.m.detachPasid(FUNCTIONS[at]!, number))).toBe(spec.detachPasid(number)),
    fn,
    pasid,
  ),
  operation<['default' | 'A' | 'B', number, number]>(
    'map',
    (spec, system, name, at, physical) => {
      const target = { domain: system.ids.get(name)! };
      expect(system.word(system.m.mapCommand(target, Number(IOVA) + at * 4096, system.pages[physical]!))).toBe(
        spec.map(name, at, physical),
      );
    },
    paging,
    page,
    page,
  ),
  operation<['default' | 'A' | 'B', number]>(
    'unmap',
    (spec, system, name, at) => {
      const iova = IOVA + BigInt(at) * 4096n;
      const reply = system.reply({ kind: 'unmap', target: { domain: system.ids.get(name)! }, iova, bytes: 4096n });
      expect(reply).toMatchObject({ kind: 'unmap', bytes: spec.unmap(name, at), timedOut: 0 });
    },
    paging,
    page,
  ),
  operation<[number, number, number | undefined, boolean, number]>(
    'write',
    (spec, system, at, number, process, viaAtc, value) => {
      const fields = { translated: viaAtc, ...(process === undefined ? {} : { pasid: process }) };
      const reply = system.reply(writeCommand(FUNCTIONS[at]!, IOVA + BigInt(number) * 4096n, String.fromCharCode(value), fields));
      expect(reply).toMatchObject({ kind: 'dma', outcome: spec.write(at, number, process, viaAtc, value) });
    },
    fn,
    page,
    fc.constantFrom(undefined, undefined, ...PASIDS),
    fc.boolean(),
    fc.integer({ min: 1, max: 127 }),
  ),
  operation<[number, boolean]>(
    'writeDirect',
    (spec, system, at, viaAtc) => {
      const reply = system.reply(writeCommand(FUNCTIONS[at]!, REGION.address, 'x', { translated: viaAtc }));
      expect(reply).toMatchObject({ kind: 'dma', outcome: spec.writeDirect(at, viaAtc) });
    },
    fn,
    fc.boolean(),
  ),
  operation<[number]>(
    'look',
    (spec, system, at) => {
      for (const [number, address] of system.pages.entries()) {
        expect(system.m.call('memory-read', { kind: 'memory-read', address, bytes: 1 }).data[0]).toBe(spec.memory[number]);
      }
      const target = { bdf: FUNCTIONS[at]!, pasid: NO_PASID };
      if (spec.domain !== 'default' && spec.domain !== 'A' && spec.domain !== 'B') return;
      for (let number = 0; number < PAGES; number++) {
        const found = system.m.call('iova-to-phys', { kind: 'iova-to-phys', target, iova: IOVA + BigInt(number) * 4096n });
        const physical = spec.tables[spec.domain].get(number);
        expect(found).toMatchObject({ mapped: physical !== undefined, address: physical === undefined ? 0n : system.pages[physical] });
      }
    },
    fn,
  ),
];

describe('the core does what the specification of the reset window says', () => {
  it.each([
    ['strict', 'blocked', RUNS],
    ['strict', 'direct-regions', RUNS_DIRECT],
    ['linux-7.1', 'blocked', RUNS],
    ['linux-7.1', 'direct-regions', RUNS_DIRECT],
  ] as const)('%s, isolation %s', { timeout: 120_000 }, (behaviour, isolation, runs) => {
    const direct = isolation === 'direct-regions';
    fc.assert(
      fc.property(fc.commands(ALL, { maxCommands: OPERATIONS_MAX, size: 'max' }), (commands) => {
        fc.modelRun(() => ({ model: new WindowSpec(behaviour === 'strict', direct), real: new System(behaviour, isolation) }), commands);
      }),
      { numRuns: runs },
    );
  });

  afterAll(() => {
    expect(operations).toBeGreaterThan(OPERATIONS_LEAST);
  });
});
