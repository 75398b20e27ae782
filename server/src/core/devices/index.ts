export { MODEL_NAMES, createModel, type ModelName } from './catalogue.ts';
export type { FunctionModel, ModelState } from './model.ts';
export type { PageRequester } from './page-requester.ts';
export { MODEL_ALARMS, type AlarmPort, type DmaEnd, type DmaPort, type DmaRequest, type InterruptPort, type ModelPorts } from './ports.ts';
