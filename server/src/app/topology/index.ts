export {
  FUNCTION_MODELS,
  TOPOLOGY_SCHEMA,
  topologySchema,
  type FunctionModel,
  type FunctionNode,
  type TopologyDocument,
} from './schema.ts';
export { TOPOLOGY_CHARACTERS_MAX, type TopologyFormat } from './document.ts';
export { parseTopology, topologyFromValue, type NamedTopology, type TopologySpec } from './topology-spec.ts';
export { PRESETS, preset, presetText, type PresetName } from './presets.ts';
export { fromLspci } from './from-lspci.ts';
export { describeTopology } from './describe.ts';
export { YAML_CHARACTERS_MAX } from './yaml-source.ts';
