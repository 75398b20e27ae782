/**
 * Registers as tables: what a bit of configuration space is, said once as data; {@link applyTable} turns tables into masks that
 * one write routine and one reset routine obey. Access kinds are those of PCIe Base r6.0 §7.4 (Table 7-2).
 */

/**
 * `ro`, and `ros` sticky: set by hardware only. `hwinit`: fixed at power-up. `rw`; `rws` sticky; `rw1c` write one to clear; `rw1cs` sticky;
 * `rw1s` write one to set; `rw1ss` sticky, which no register of PCI Express has (Table 7-2), and those of a device may; `trigger`: writing one acts, reading gives
 * zero. Bits that no field names are `ro`.
 */
export type AccessKind = 'ro' | 'ros' | 'hwinit' | 'rw' | 'rws' | 'rw1c' | 'rw1cs' | 'rw1s' | 'rw1ss' | 'trigger';

export interface Field {
  /** Lowest and highest bit in the register. */
  readonly at: readonly [low: number, high: number];
  readonly access: AccessKind;
  /** Value after a reset that touches the field; 0 when absent, and an `ro` field without one is left as hardware has it. */
  readonly reset?: number;
  /** Not sticky, yet an FLR leaves it (PCIe Base r6.0 §6.6.2). */
  readonly survivesFlr?: boolean;
  /** `trigger`: the {@link CONFIG_EFFECT} that writing one has. */
  readonly effect?: number;
}

export interface Register {
  /** From the start of the header or capability. */
  readonly offset: number;
  readonly bytes: 1 | 2 | 4;
  readonly cite: string;
  /** {@link CONFIG_EFFECT} bits reported when a write changes the register. */
  readonly effect?: number;
  readonly fields: Readonly<Record<string, Field>>;
}

export type RegisterTable = Readonly<Record<string, Register>>;

/** What a configuration write changed or set off; a write returns a set of these bits. */
export const CONFIG_EFFECT = {
  command: 1,
  /** Initiate Function Level Reset was written, in Device Control or AF Control. */
  flr: 2,
  ats: 4,
  power: 8,
  bars: 16,
  deviceControl: 32,
  /** Primary, secondary or subordinate bus number, or a bridge window. */
  routing: 64,
  pasid: 128,
  pri: 256,
  acs: 512,
  /** Bridge Control, which holds Secondary Bus Reset. */
  bridgeControl: 1024,
  /** MSI or MSI-X. */
  msi: 2048,
  /** A BAR's size, in Resizable BAR. */
  barSize: 4096,
  sriov: 8192,
  /** Reset of Page Request Control was written. */
  priReset: 16384,
  /** Slot Control or Slot Status. */
  slot: 32768,
  /** A set bit of Electromechanical Interlock Control was written. Of triggers: more than 16 bits of effects only they have. */
  interlock: 65536,
  /** DPC Software Trigger was written. */
  containment: 131072,
} as const;

/** One byte of each array for each byte of configuration space. */
export interface Masks {
  readonly writable: Uint8Array;
  readonly clearedByOne: Uint8Array;
  readonly setByOne: Uint8Array;
  /** Bits that only hardware changes, and that a reset puts back. */
  readonly hardware: Uint8Array;
  readonly triggers: Uint8Array;
  /** Bits that an FLR leaves as they are, of those that something changes. */
  readonly survivesFlr: Uint8Array;
  /** Bits that also a conventional reset leaves: the sticky ones. Only power that is gone takes them. */
  readonly sticky: Uint8Array;
  readonly resetValue: Uint8Array;
  readonly effect: Uint16Array;
  readonly triggerEffect: Uint32Array;
}

export function newMasks(bytes: number): Masks {
  return {
    writable: new Uint8Array(bytes),
    clearedByOne: new Uint8Array(bytes),
    setByOne: new Uint8Array(bytes),
    hardware: new Uint8Array(bytes),
    triggers: new Uint8Array(bytes),
    survivesFlr: new Uint8Array(bytes),
    sticky: new Uint8Array(bytes),
    resetValue: new Uint8Array(bytes),
    effect: new Uint16Array(bytes),
    triggerEffect: new Uint32Array(bytes),
  };
}

export function copyMasks(masks: Masks): Masks {
  const { writable, clearedByOne, setByOne, hardware, triggers, survivesFlr, sticky, resetValue, effect, triggerEffect } = masks;
  return {
    writable: writable.slice(),
    clearedByOne: clearedByOne.slice(),
    setByOne: setByOne.slice(),
    hardware: hardware.slice(),
    triggers: triggers.slice(),
    survivesFlr: survivesFlr.slice(),
    sticky: sticky.slice(),
    resetValue: resetValue.slice(),
    effect: effect.slice(),
    triggerEffect: triggerEffect.slice(),
  };
}

/** Lays a table over the masks, its offset 0 at `base`. A register that reaches `limit` or beyond is left read-only. */
export function applyTable(masks: Masks, base: number, table: RegisterTable, limit: number): void {
  for (const register of Object.values(table)) {
    const start = base + register.offset;
    if (start + register.bytes > limit) continue;
    for (const field of Object.values(register.fields)) applyField(masks, start, field);
    for (let i = 0; i < register.bytes; i++) masks.effect[start + i] = register.effect ?? 0;
  }
}

/** What byte `at` is after a write of `given` to it. `writable`: its bits that take what is given. */
export function writtenByte({ clearedByOne, setByOne }: Masks, at: number, old: number, given: number, writable: number): number {
  return (old & ~writable & ~(clearedByOne[at]! & given)) | (given & (writable | setByOne[at]!));
}

const STICKY: ReadonlySet<AccessKind> = new Set(['ros', 'rws', 'rw1cs', 'rw1ss']);

function applyField(masks: Masks, start: number, field: Field): void {
  const [low, high] = field.at;
  const { access } = field;
  const sticky = STICKY.has(access);
  const kind = maskOf(masks, field);
  for (let bit = low; bit <= high; bit++) {
    const at = start + (bit >> 3);
    const mask = 1 << (bit & 7);
    if (kind !== undefined) kind[at]! |= mask;
    if (sticky) masks.sticky[at]! |= mask;
    if (sticky || field.survivesFlr === true) masks.survivesFlr[at]! |= mask;
    if (access === 'trigger') masks.triggerEffect[at]! |= field.effect ?? 0;
    if ((((field.reset ?? 0) >>> (bit - low)) & 1) === 1) masks.resetValue[at]! |= mask;
  }
}

function maskOf(masks: Masks, { access, reset }: Field): Uint8Array | undefined {
  switch (access) {
    case 'rw':
    case 'rws':
      return masks.writable;
    case 'rw1c':
    case 'rw1cs':
      return masks.clearedByOne;
    case 'rw1s':
    case 'rw1ss':
      return masks.setByOne;
    case 'trigger':
      return masks.triggers;
    case 'ros':
      return masks.hardware;
    case 'ro':
      return reset === undefined ? undefined : masks.hardware;
    case 'hwinit':
      return undefined;
  }
}

/**
 * `flr`: as PCIe Base r6.0 §6.6.2. `conventional`: hot or warm reset, which leaves only what is sticky. `d3hot`: D3hot to D0 of a function
 * without No_Soft_Reset, which is a conventional reset of it (§5.3.1.4); PME context is sticky. `cold`: power was gone.
 */
export type ResetKind = 'flr' | 'd3hot' | 'conventional' | 'cold';

/** Puts reset values where something changes and `kind` reaches. */
export function resetBytes(data: Uint8Array, masks: Masks, kind: ResetKind): void {
  const { writable, clearedByOne, setByOne, hardware, survivesFlr, sticky, resetValue } = masks;
  const survives = kind === 'flr' ? survivesFlr : sticky;
  for (const at of changeableBytes(masks)) {
    const changes = writable[at]! | clearedByOne[at]! | setByOne[at]! | hardware[at]!;
    const touched = kind === 'cold' ? changes : changes & ~survives[at]!;
    data[at] = (data[at]! & ~touched) | (resetValue[at]! & touched);
  }
}

/** Offsets of the bytes in which something may change a bit, by masks that are complete: a few of 4096, and each reset visits them. */
const changeable = new WeakMap<Masks, Uint16Array>();

function changeableBytes(masks: Masks): Uint16Array {
  let offsets = changeable.get(masks);
  if (offsets === undefined) {
    const { writable, clearedByOne, setByOne, hardware } = masks;
    offsets = Uint16Array.from(writable.keys()).filter((at) => (writable[at]! | clearedByOne[at]! | setByOne[at]! | hardware[at]!) !== 0);
    changeable.set(masks, offsets);
  }
  return offsets;
}

/** Takes every writable bit from `saved`; returns the effects of what changed. */
export function restoreBytes(data: Uint8Array, masks: Masks, saved: Uint8Array): number {
  let effects = 0;
  for (const at of changeableBytes(masks)) {
    const mask = masks.writable[at]!;
    const next = (data[at]! & ~mask) | (saved[at]! & mask);
    if (next === data[at]) continue;
    data[at] = next;
    effects |= masks.effect[at]!;
  }
  return effects;
}
