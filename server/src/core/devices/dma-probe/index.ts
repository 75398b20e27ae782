export { DmaProbe } from './device.ts';
export { PROBE_REGISTERS, type ProbeRegister } from './registers.ts';
