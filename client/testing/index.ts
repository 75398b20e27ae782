/** The door of `iommud/testing`. */
export { onMachine, type TestOptions } from './on-machine.ts';
export { startMachine, type MachineOptions } from './start-machine.ts';
export { TestMachine, type ConnectRoles } from './test-machine.ts';
