export { ATC_ENTRIES_MAX, Atc } from './atc.ts';
export { MODEL_NAMES, createModel, type ModelName } from './catalogue.ts';
export { DmaProbe, PROBE_REGISTERS, type ProbeRegister } from './dma-probe/index.ts';
export type { FunctionModel } from './model.ts';
