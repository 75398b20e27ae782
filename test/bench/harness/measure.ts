/** What the bench runs, and what it writes. */

/** SI base units: a rate, bytes per second, seconds, bytes. */
export type Unit = '1/s' | 'B/s' | 's' | 'B';

/** One figure and the floor that it is held against; both give a number in `unit`. */
export interface Measure {
  readonly name: string;
  readonly unit: Unit;
  /** The floor's name. */
  readonly floor: string;
  /** Why it cannot be measured on this machine, in words for the user; undefined when it can. Such a row is skipped. */
  readonly whyNot?: () => string | undefined;
  /** Runs once before the first round: start servers, connect. */
  readonly open?: () => Promise<void>;
  /** `round` counts from 0; negative ones are the warm-up, whose figures are dropped. */
  readonly run: (round: number) => Promise<number>;
  readonly runFloor: (round: number) => Promise<number>;
  /** Runs once after the last round, also when a round failed. */
  readonly close?: () => Promise<void>;
}

/** One line of the result: a measure and its floor. `value` and `floorValue` are medians, the ratios as `summarize` says. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  readonly floor: string;
  readonly floorValue: number;
  readonly ratio: number;
  readonly rounds: number;
  readonly ratioMin: number;
  readonly ratioMax: number;
}

export interface Report {
  readonly commit: string;
  readonly cpu: string;
  readonly node: string;
  readonly rows: readonly Row[];
}
