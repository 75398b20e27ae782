/** What a topology chooses of a function's capabilities, over what its model has by default. */
import type { CapabilitySet, SlotSpec } from './capability-spec.ts';

/** A value replaces a default one, `false` takes it away, and what is absent stays as it is by default. */
type Choice = { readonly [K in keyof Omit<CapabilitySet, 'express'>]?: CapabilitySet[K] | false };

export interface CapabilityChoices extends Choice {
  /** False: a conventional function. Its 256 bytes have no extended capability. */
  readonly express?: false;
  /** Function level reset by PCI Express. */
  readonly flr?: boolean;
  /** Needs no time after a reset: Immediate Readiness in Status, and in Power Management Capabilities. */
  readonly immediateReadiness?: boolean;
  /** Of ports with a link below. */
  readonly slot?: SlotSpec;
  /** Of root ports. */
  readonly rrsVisibility?: boolean;
  /** What the function is, where it is declared. */
  readonly identity?: { readonly vendor?: number; readonly device?: number; readonly classCode?: number; readonly revision?: number };
  /** Its BARs, in place of those of its model. */
  readonly bars?: readonly BarChoice[];
}

export interface BarChoice {
  /** 0 to 5. */
  readonly index: number;
  readonly bytes: bigint;
  readonly kind: 'io' | 'memory32' | 'memory64';
  readonly prefetchable: boolean;
}

/** The status bit of Immediate Readiness (PCIe Base r6.0 §7.5.1.1.4). */
export const IMMEDIATE_READINESS = 1;

/** Choices that are no capability of their own: registers of another one, and of the header. */
const REGISTERS: ReadonlySet<string> = new Set(['flr', 'immediateReadiness', 'slot', 'rrsVisibility', 'identity', 'bars']);

/** The defaults with the choices laid over them. */
export function chosen(defaults: CapabilitySet, choices: CapabilityChoices): CapabilitySet {
  const all: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(choices)) {
    if (REGISTERS.has(key)) continue;
    if (value === false) delete all[key];
    else if (value !== undefined) all[key] = value;
  }
  return all;
}
