/** Ranges of memory that connections own, and lose. */
import type { Events } from '../../proto/index.ts';
import { bigintOf, numberOf } from './numbers.ts';
import { shown } from './shown.ts';

/** What happened to a range of memory that a connection owns. */
export interface MemoryChange {
  /** Physical. */
  readonly address: bigint;
  readonly bytes: bigint;
  /**
   * `owned`; `absent`: its owner has vanished, and it stays for the grace time; `back`: it is owned again; `gone`: nobody came in time; `released`: given up.
   */
  readonly change: string;
  /** The owner, by its number in the machine's status; where it is not there any more, who it was. */
  readonly peer: number;
  readonly timeNs: number;
}

export function memoryChange(event: Events['memoryEvent']): MemoryChange {
  return shown({
    address: bigintOf(event.address),
    bytes: bigintOf(event.bytes),
    change: event.change,
    peer: event.peer,
    timeNs: numberOf(event.timeNs),
  });
}
