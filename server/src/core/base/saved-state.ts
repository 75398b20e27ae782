/** What objects with private state show a snapshot, and how they get it back. */

/** An object whose fields nobody else sees: it lists what of them is state. What it was wired with when it was made is none. */
export interface Stateful {
  /** Lists its state, always the same fields in the same order: to save it, and when it is restored, to have it replaced. */
  state(fields: StateFields): void;
}

export interface StateFields {
  /** True while a snapshot is restored: what follows from the fields has to be made again. */
  readonly loading: boolean;
  /** Plain data. Returns what the field is to be: while saving what it was. */
  field<T>(name: string, value: T): T;
  /** Bytes that whoever restores them copies at once: what is returned is not theirs. */
  lend(name: string, bytes: Uint8Array): Uint8Array;
  /** A container, a typed array, or an object of another class that stays where it is: what is in it is replaced. */
  keep(name: string, kept: object): void;
}

/** A class of which a machine makes instances as it runs. */
export interface StateKind {
  /** In a snapshot. */
  readonly name: string;
  /** Its constructor, by which an instance is known. */
  readonly type: object;
  /** A new instance, whose state is loaded later. `field`: what its constructor needs of that state: values, byte arrays, instances, and arrays of those. */
  make(field: (name: string) => unknown): Stateful;
}

/** Is saved, and made again, in the place of an object that does not say how: {@link StateKind} of its own class. */
export interface StandIn extends Stateful {
  readonly standsFor: object;
}

/** An object that a machine has from the start, by the name that it has in snapshots. */
export interface Anchor {
  readonly name: string;
  readonly object: object;
  /** Wiring, or data that never changes: nothing of it is saved. */
  readonly fixed: boolean;
}
