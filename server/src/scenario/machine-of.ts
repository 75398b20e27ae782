import { parseTopology, preset, topologyFromValue, PRESETS, type TopologySpec } from '../app/topology/index.ts';
/** The machine that a scenario's declarations describe. */
import { BEHAVIOURS, CLOCK_MODES, FIX_NAMES, type Behaviour, type Fix, type MachineSpec } from '../core/machine/index.ts';
import { at, type Scenario, type Statement } from './syntax.ts';

/** What the caller wants otherwise than the file says. */
export interface Overrides {
  readonly behaviour?: Behaviour | undefined;
  readonly seed?: number | undefined;
  readonly withoutFixes?: readonly Fix[] | undefined;
}

/** Reads a topology document that a scenario names, by the path as it stands there. */
export type LoadFile = (path: string) => string;

const SEED = 1;

export function machineOf(scenario: Scenario, overrides: Overrides, load: LoadFile): MachineSpec {
  const { declarations } = scenario;
  const behaviour = oneOf(declarations, 'behaviour', BEHAVIOURS) ?? 'strict';
  const without = declarations.filter(({ verb }) => verb === 'without-fix').map((line) => wordOf(line, FIX_NAMES));
  const topology = topologyOf(declarations, load);
  return {
    name: 'scenario',
    seed: overrides.seed ?? Number(last(declarations, 'seed')?.args[0]?.text ?? SEED),
    clock: oneOf(declarations, 'clock', CLOCK_MODES) ?? 'auto',
    behaviour: overrides.behaviour ?? behaviour,
    withoutFixes: overrides.withoutFixes ?? without,
    memory: topology.memory,
    functions: topology.functions,
    ...(topology.ecam === undefined ? {} : { ecam: topology.ecam }),
    ...(topology.iommu === undefined ? {} : { iommu: topology.iommu }),
  };
}

function topologyOf(declarations: readonly Statement[], load: LoadFile): TopologySpec {
  const machine = last(declarations, 'machine');
  const functions = declarations.filter(({ verb }) => verb === 'function');
  const [first] = functions;
  if (machine !== undefined && first !== undefined)
    throw at(first.line, 'a scenario has functions of its own or a machine by name, not both');
  if (first === undefined) {
    const own = declarations.find(({ verb }) => verb === 'iommu' || verb === 'region');
    if (own !== undefined) throw at(own.line, `"${own.verb}" is of a scenario that has functions of its own`);
  } else {
    const memory = declarations
      .filter(({ verb }) => verb === 'memory')
      .map(({ args }) => ({ address: args[0]?.text, size: args[1]?.text }));
    const regions = declarations.filter(({ verb }) => verb === 'region');
    const document = {
      schema: 'iommud.topology/v1',
      functions: functions.map((line) => functionOf(line, regions)),
      ...iommuOf(last(declarations, 'iommu')),
      ...(memory.length === 0 ? {} : { memory }),
    };
    const stray = regions.find(({ args }) => !functions.some((line) => line.args[0]?.text === args[0]?.text));
    if (stray !== undefined) throw at(stray.line, `there is no function ${stray.args[0]?.text}`);
    return topologyFromValue(document);
  }
  const name = machine?.args[0]?.text ?? 'basic';
  return name in PRESETS ? preset(name) : parseTopology(load(name));
}

/** `function 00:02.0 dma-probe ats=no`: the keys of a topology document. */
function functionOf({ line, args, options }: Statement, regions: readonly Statement[]): Readonly<Record<string, unknown>> {
  const [address, model] = args;
  if (address === undefined || model === undefined || args.length !== 2) throw at(line, 'write "function ADDRESS MODEL key=value…"');
  const own = regions.filter((region) => region.args[0]?.text === address.text).map(regionOf);
  return { address: address.text, model: model.text, ...keysOf(options), ...(own.length === 0 ? {} : { reservedRegions: own }) };
}

/** `region 00:02.0 direct 0x50000000 64KiB`. */
function regionOf({ line, args }: Statement): Readonly<Record<string, unknown>> {
  const [, type, address, size] = args;
  if (type === undefined || address === undefined || size === undefined || args.length !== 4)
    throw at(line, 'write "region FUNCTION TYPE ADDRESS SIZE"');
  return { type: type.text, address: address.text, size: size.text };
}

/** `iommu isolation=direct-regions`: the keys of a topology document; or `iommu none`. */
function iommuOf(statement: Statement | undefined): Readonly<Record<string, unknown>> {
  if (statement === undefined) return {};
  const { line, args, options } = statement;
  const [none] = args;
  const { pageRequestQueue: entries, ...rest } = keysOf(options);
  if (none === undefined) return { iommu: { ...rest, ...(entries === undefined ? {} : { pageRequestQueue: Number(entries) }) } };
  if (none.text !== 'none' || args.length > 1 || options.size > 0) throw at(line, 'write "iommu none" or "iommu key=value…"');
  return { iommu: 'none' };
}

/** Values as a topology document has them. */
function keysOf(options: Statement['options']): Readonly<Record<string, unknown>> {
  const value = (text: string): unknown => (text === 'yes' ? true : text === 'no' ? false : text);
  return Object.fromEntries([...options].map(([key, text]) => [key, value(text)]));
}

function last(declarations: readonly Statement[], verb: string): Statement | undefined {
  return declarations.findLast((line) => line.verb === verb);
}

function oneOf<W extends string>(declarations: readonly Statement[], verb: string, words: readonly W[]): W | undefined {
  const line = last(declarations, verb);
  return line === undefined ? undefined : wordOf(line, words);
}

function wordOf<W extends string>({ line, verb, args }: Statement, words: readonly W[]): W {
  const text = args[0]?.text;
  const word = words.find((known) => known === text);
  if (word === undefined) throw at(line, `${verb} is one of ${words.join(', ')}, not ${text}`);
  return word;
}
