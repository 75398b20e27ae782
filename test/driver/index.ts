export type { DrivenMachine, Driver, MachineRequest } from './driver.ts';
export { inProcessDriver } from './in-process.ts';
export { loopbackDriver } from './loopback.ts';
export { socketDriver } from './socket.ts';
