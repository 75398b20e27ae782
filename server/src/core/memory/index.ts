export { setBits } from './dirty-log.ts';
export { GuestMemory } from './guest-memory.ts';
export type { OwnedRange } from './memory-range.ts';
