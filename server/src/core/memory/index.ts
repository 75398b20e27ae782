export { GuestMemory } from './guest-memory.ts';
