/**
 * A machine as plain data, and back. It is made from its spec, as it once was, and then gets the state that it had: whatever its parts hold that is plain data
 * comes with it, and what is not is refused when it is saved, by its name.
 */
import {
  BASE_KINDS,
  ModelError,
  readGraph,
  writeGraph,
  type Anchor,
  type Graph,
  type StandIn,
  type StateFields,
  type StateKind,
  type Stateful,
} from '../base/index.ts';
import type { FunctionModel, ModelName, ModelState } from '../devices/index.ts';
import { IOMMU_KINDS } from '../iommu/index.ts';
import { PCI_KINDS } from '../pci/index.ts';
import { translationKinds } from '../translation/index.ts';
import { topologyOf } from './hierarchy/topology-of.ts';
import type { ModelWiring } from './model-ports.ts';
import type { Parts } from './parts.ts';
import type { MachineSpec } from './spec.ts';

export interface MachineSnapshot {
  readonly spec: Graph;
  readonly state: Graph;
}

export function saveSpec(spec: MachineSpec): Graph {
  const root: Root = { spec };
  return writeGraph(rootOf(root), []);
}

export function saveState(m: Parts): MachineSnapshot {
  const models = new ModelSavers(m);
  return {
    spec: saveSpec(m.spec),
    state: writeGraph(anchorsOf(m), kindsOf(m, models), (object) => models.for(object)),
  };
}

/** EINVAL: it has none. */
export function specOfSnapshot({ spec: graph }: Pick<MachineSnapshot, 'spec'>): MachineSpec {
  const root: Root = {};
  readGraph(graph, rootOf(root), []);
  const { spec } = root;
  if (spec === undefined || !Array.isArray(spec.functions) || !Array.isArray(spec.memory)) {
    throw new ModelError('EINVAL', 'the snapshot has no description of a machine', 'snapshot');
  }
  return spec;
}

/** Of a machine that was just made from the snapshot's spec. */
export function loadState(m: Parts, state: Graph): void {
  const models = new ModelSavers(m);
  readGraph(state, anchorsOf(m), kindsOf(m, models));
  models.finish();
  m.topology = topologyOf(m.functionList, m.topology);
}

interface Root {
  spec?: MachineSpec;
}

function rootOf(root: Root): readonly Anchor[] {
  return [{ name: 'root', object: root, fixed: false }];
}

function kindsOf({ memory, translation }: Parts, models: ModelSavers): readonly StateKind[] {
  return [...BASE_KINDS, ...translationKinds(memory, translation.awaited), ...IOMMU_KINDS, ...PCI_KINDS, models.kind];
}

/** Wiring, and what follows from the spec or from the rest. */
const NO_STATE: readonly (keyof Parts)[] = ['spec', 'strict', 'fixes', 'trace', 'readBuffers', 'readFunctions', 'wiring'];

/** The machine's parts, each an object that the rest of it holds too; and the spec, of which functions and domains have pieces. */
function anchorsOf(m: Parts): readonly Anchor[] {
  const anchors: Anchor[] = [];
  const numbers: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(m) as [keyof Parts, unknown][]) {
    if (NO_STATE.includes(name)) continue;
    if (typeof part === 'object' && part !== null) anchors.push({ name, object: part, fixed: false });
    else numbers[name] = part;
  }
  anchors.push({ name: 'numbers', object: new Numbers(m, Object.keys(numbers)), fixed: false });
  addFixed(anchors, m.spec, 'spec', new Set());
  return anchors;
}

/** The parts that are no objects. */
class Numbers implements Stateful {
  readonly #parts: Record<string, unknown>;
  readonly #names: readonly string[];

  constructor(m: Parts, names: readonly string[]) {
    this.#parts = m as unknown as Record<string, unknown>;
    this.#names = names;
  }

  state(fields: StateFields): void {
    for (const name of this.#names) this.#parts[name] = fields.field(name, this.#parts[name]);
  }
}

function addFixed(anchors: Anchor[], object: object, name: string, seen: Set<object>): void {
  if (seen.has(object)) return;
  seen.add(object);
  anchors.push({ name, object, fixed: true });
  if (ArrayBuffer.isView(object)) return;
  for (const [key, value] of Object.entries(object) as [string, unknown][]) {
    if (typeof value === 'object' && value !== null) addFixed(anchors, value, `${name}.${key}`, seen);
  }
}

/** A model saves itself; its ATC and its page requests are the machine's to save. */
class ModelSaver implements StandIn {
  readonly standsFor: FunctionModel;
  readonly #name: ModelName;
  readonly #index: number;
  #saved: ModelState | undefined;

  constructor(model: FunctionModel, name: ModelName, index: number) {
    this.standsFor = model;
    this.#name = name;
    this.#index = index;
  }

  state(fields: StateFields): void {
    const { atc, pageRequester } = this.standsFor;
    fields.field('name', this.#name);
    fields.field('index', this.#index);
    if (atc !== undefined) fields.keep('atc', atc);
    if (pageRequester !== undefined) fields.keep('pageRequester', pageRequester);
    this.#saved = fields.field('model', fields.loading ? undefined : this.standsFor.save());
  }

  /** Everything that its state leads to is there now. */
  finish(): void {
    if (this.#saved !== undefined) this.standsFor.load(this.#saved);
  }
}

class ModelSavers {
  readonly #wiring: ModelWiring;
  readonly #made: ModelSaver[] = [];
  readonly kind: StateKind = {
    name: 'model',
    type: ModelSaver,
    make: (field) => {
      const name = field('name') as ModelName;
      const index = field('index') as number;
      const made = new ModelSaver(this.#wiring.modelOf(name, index), name, index);
      this.#made.push(made);
      return made;
    },
  };

  constructor({ wiring }: Parts) {
    this.#wiring = wiring;
  }

  for(object: object): ModelSaver | undefined {
    const from = this.#wiring.madeFrom(object);
    return from === undefined ? undefined : new ModelSaver(object as FunctionModel, from.name, from.index);
  }

  finish(): void {
    for (const model of this.#made) model.finish();
  }
}
