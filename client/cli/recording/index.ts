/** `iommud record`, `replay` and `trace`: what happened to a machine, in files. */
export { registerRecord } from './record.ts';
export { registerReplay } from './replay.ts';
export { registerTrace } from './trace.ts';
