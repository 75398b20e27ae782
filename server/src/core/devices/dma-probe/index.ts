export { DmaProbe } from './device.ts';
