export { createModel, type ModelName } from './catalogue.ts';
export type { FunctionModel } from './model.ts';
export type { PageRequester } from './page-requester.ts';
