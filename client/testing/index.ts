/** The door of `iommud/testing`. */
export { startMachine, type MachineOptions } from './start-machine.ts';
export { TestMachine, type ConnectRoles } from './test-machine.ts';
