export { registerExplore } from './explore-scenario.ts';
export { registerRun } from './run-scenario.ts';
