import type { FunctionHandle, FunctionSummary, Machine } from '../src/index.ts';

/** 4 KiB of registers at once from each function would only wait in the queue; so many functions keep it full. */
const FUNCTIONS_AT_ONCE = 4;

/** What `read` has of each function of the machine, by address. */
export async function ofEvery<T>(machine: Machine, read: (each: FunctionSummary, fn: FunctionHandle) => Promise<T>): Promise<readonly T[]> {
  const functions = await machine.functions();
  const all: T[] = [];
  for (let at = 0; at < functions.length; at += FUNCTIONS_AT_ONCE) {
    const some = functions.slice(at, at + FUNCTIONS_AT_ONCE);
    all.push(...(await Promise.all(some.map((each) => read(each, machine.function(each.function))))));
  }
  return all;
}
