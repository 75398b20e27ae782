/** Whatever a class of core keeps is in its snapshots, or is said here not to be. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const CORE = 'server/src/core';

/** Fields that change and are no state, by class: what is made again from the rest, what is used up within a step, what belongs to others. */
const NO_STATE: Readonly<Record<string, readonly string[]>> = {
  // Read out of the bytes, or laid out by them.
  ConfigSpace: [
    'masks',
    'busMaster',
    'memorySpace',
    'ioSpace',
    'maxPayloadBytes',
    'maxReadRequestBytes',
    'atsEnabled',
    'unitPagesLg2',
    'pasidEnabled',
    'powerState',
    'secondaryBus',
    'subordinateBus',
    'acsEnabledRedirect',
    'capabilities',
    'warnings',
    'vfBars',
    'acsControl',
    'ariForwarding',
    'windowPages',
  ],
  // What has left the machine is with whoever took it.
  Outbox: ['items'],
  // The list is the translation's.
  Contexts: ['list'],
  // What the last walk or translation found is asked for in its step.
  AwaitedEntries: ['page', 'offset', 'marked', 'answers'],
  LoopTables: ['foundLow', 'foundHigh', 'foundAccess', 'foundPagesLg2', 'foundGlobal', 'foundSnooped', 'dirty', 'walker'],
  NestedTables: ['faultStage'],
  RadixTables: ['entry'],
  Translation: ['resultLow', 'resultRest', 'faultTables'],
  TranslationRequests: ['completion'],
  DomainTable: ['hostWindows'],
  // Found from how bridges are wired.
  Topology: ['functions', 'byBdf', 'below', 'bridgeOfBus', 'paths', 'aliases', 'names', 'onRoots'],
  InterruptRemapping: ['entry', 'index'],
  DmaProbe: ['atc', 'pageRequester'],
};

/** Classes that no machine keeps from step to step, whose owner saves what is in them, or that are made again from the rest. */
const NOT_SAVED: readonly string[] = [
  'GraphReader',
  'GraphWriter',
  'Prng',
  'Trace',
  'Machine',
  'ModelWiring',
  'ModelSavers',
  'CapabilityBody',
  'DumpReader',
  'Space',
  'DisjointSets',
  'DirtyReader',
  'RamMemory',
  'SecondStageMemory',
  'RadixWalker',
  'PoolMemory',
  'TrackedTables',
];

interface Class {
  readonly name: string;
  /** Those that change, or hold what does. */
  readonly fields: readonly string[];
  /** The body of its state(), or of a model's save(); undefined: it has none. */
  readonly state: string | undefined;
}

const CLASS = /^(?:export )?(?:abstract )?class (\w+).*?\{$(.*?)^\}/gms;
const FIELD = /^ {2}(?:(?:protected|override) )*(readonly )?#?(\w+)(: [^()\n]*?)?( = .*)?;$/gm;
const STATE = /^ {2}(?:override )?state\(fields.*?^ {2}\}/ms;
const SAVE = /^ {2}save\(\).*?^ {2}\}/ms;
const CONSTANT = /^ = (?:'|true|false|undefined|\d)/;
const CONTAINER = /Map|Set|\[\]|Ring|PageRanges/;

function classesOf(text: string): Class[] {
  return [...text.matchAll(CLASS)].map(([, name = '', body = '']) => {
    const fields = [...body.matchAll(FIELD)].filter(([, readonly, , type = '', value]) =>
      readonly === undefined || value === undefined ? readonly === undefined || CONTAINER.test(type) : !CONSTANT.test(value),
    );
    return { name, fields: fields.map(([, , field = '']) => field), state: (STATE.exec(body) ?? SAVE.exec(body))?.[0] };
  });
}

/** What of these classes is not saved. */
function lost(classes: readonly Class[]): string[] {
  return classes.flatMap(({ name, fields, state }) => {
    if (NOT_SAVED.includes(name) || fields.length === 0) return [];
    if (state === undefined) return [`${name}: give it state(), or name it in NOT_SAVED`];
    const left = fields.filter((field) => !new RegExp(`\\b${field}\\b`).test(state) && NO_STATE[name]?.includes(field) !== true);
    return left.map((field) => `${name}.${field}: name it in state(), or in NO_STATE`);
  });
}

it('every field of a class of core is saved, or said to be no state', () => {
  const paths = readdirSync(CORE, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  const classes = paths.flatMap((path) => classesOf(readFileSync(join(CORE, path), 'utf8')));
  expect(classes.length).toBeGreaterThan(30);
  expect(lost(classes)).toEqual([]);
});

it('a field that was forgotten, and a class that says nothing, are reported', () => {
  const forgetful = classesOf(`export class A {
  #kept = 0;
  #lost = new Map<number, string>();
  readonly #wiring: () => number;

  state(fields: StateFields): void {
    this.#kept = fields.field('kept', this.#kept);
  }
}
class B {
  readonly #list: number[] = [];
}
`);
  expect(lost(forgetful)).toEqual(['A.lost: name it in state(), or in NO_STATE', 'B: give it state(), or name it in NOT_SAVED']);
});
