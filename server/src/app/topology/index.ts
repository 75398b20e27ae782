export { MACHINE_NAME, TOPOLOGY_SCHEMA, topologySchema, type FunctionModel, type FunctionNode, type TopologyDocument } from './schema.ts';
export { type TopologyFormat } from './document.ts';
export { parseTopology, topologyFromValue, type NamedTopology, type TopologySpec } from './topology-spec.ts';
export { readPluggedFunctions } from './plugged-functions.ts';
export { PRESETS, preset, presetText, type PresetName } from './presets.ts';
export { fromLspci } from './from-lspci.ts';
export { describeTopology } from './describe.ts';
