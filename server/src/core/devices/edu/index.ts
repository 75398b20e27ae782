export { Edu } from './device.ts';
