/** Fields of a table in brief, by their access kind. */
import type { Field } from './register-table.ts';

export const rw = (low: number, high = low, reset = 0): Field => ({ at: [low, high], access: 'rw', reset });
/** `rw` that an FLR leaves though it is not sticky (PCIe Base r6.0 §6.6.2). */
export const kept = (low: number, high = low): Field => ({ at: [low, high], access: 'rw', survivesFlr: true });
export const rws = (low: number, high = low, reset = 0): Field => ({ at: [low, high], access: 'rws', reset });
export const w1c = (low: number, high = low): Field => ({ at: [low, high], access: 'rw1c' });
export const w1cs = (low: number, high = low): Field => ({ at: [low, high], access: 'rw1cs' });
/** Set by hardware, and 0 after a reset that reaches it. */
export const ro = (low: number, high = low, reset = 0): Field => ({ at: [low, high], access: 'ro', reset });
export const ros = (low: number, high = low, reset = 0): Field => ({ at: [low, high], access: 'ros', reset });
/** Reads zero; without an effect of its own it only does what its register's name says. */
export const trigger = (bit: number, effect = 0): Field => ({ at: [bit, bit], access: 'trigger', effect });
