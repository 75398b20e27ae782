import { FLOOR_NAMES, openFloor, type Floor, type FloorName, type Sizes } from '../../floors/index.ts';
import { exchange, exchangeCalls, type Load, type Measure, type Outcome, type Unit } from '../../harness/index.ts';

/** Something of ours that is measured: a call, ready to be made again and again. */
export interface Subject {
  readonly call: () => Promise<unknown>;
  readonly close: () => Promise<void>;
}

export interface Comparison {
  readonly name: string;
  readonly unit: Unit;
  readonly load: Load;
  /** Runs once before the first round, on the measure and on its floor alike. */
  readonly warmUp?: Load;
  /** What the calls put on the wire, which the floors put there too. */
  readonly sizes: Sizes;
  readonly open: () => Promise<Subject>;
  readonly figure: (outcome: Outcome) => number;
}

/** One row against each floor. */
export function againstFloors(comparison: Comparison): Measure[] {
  return FLOOR_NAMES.map((name) => againstFloor(comparison, name));
}

export function againstFloor(comparison: Comparison, floorName: FloorName): Measure {
  let subject: Subject | undefined;
  let floor: Floor | undefined;
  return {
    name: comparison.name,
    unit: comparison.unit,
    floor: floorName,
    async open() {
      subject = await comparison.open();
      floor = await openFloor(floorName, comparison.sizes);
      if (comparison.warmUp === undefined) return;
      await exchangeCalls(subject.call, comparison.warmUp);
      await exchange(floor, comparison.warmUp);
    },
    async run() {
      const { call } = opened(subject);
      return comparison.figure(await exchangeCalls(call, comparison.load));
    },
    async runFloor() {
      return comparison.figure(await exchange(opened(floor), comparison.load));
    },
    async close() {
      await subject?.close();
      await floor?.close();
    },
  };
}

function opened<T>(what: T | undefined): T {
  if (what === undefined) throw new Error('not open');
  return what;
}
