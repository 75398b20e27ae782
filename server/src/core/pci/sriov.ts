/** SR-IOV as the machine follows it (PCIe Base r6.0 §9.3.3): what the physical function's capability says, and the configuration space of its virtual ones. */
import { bdfFromNumber, type Bdf } from '../base/index.ts';
import { endpointConfig } from './build-config.ts';
import type { MsixSpec } from './capability-spec.ts';
import type { ConfigSpace } from './config-space.ts';
import { EXTENDED_CAPABILITY } from './extended-capability-table.ts';

/** From the capability's header. */
const AT = { control: 8, totalFunctions: 0xe, functions: 0x10, firstOffset: 0x14, stride: 0x16, device: 0x1a } as const;
const CONTROL = { enable: 1, memorySpace: 8 } as const;
/** What a virtual function answers as its own Vendor ID and Device ID (§9.3.4.1.1). */
const NO_ID = 0xffff;

/** The registers as they are now. */
export interface Sriov {
  readonly enabled: boolean;
  /** VF MSE: the virtual functions decode memory. */
  readonly memorySpace: boolean;
  /** NumVFs, and the most that it may be. */
  readonly functions: number;
  readonly totalFunctions: number;
  readonly firstOffset: number;
  readonly stride: number;
  /** VF Device ID. */
  readonly device: number;
}

/** Undefined without the capability. */
export function sriovOf(config: Pick<ConfigSpace, 'capabilities' | 'read'>): Sriov | undefined {
  const found = config.capabilities.find(({ extended, id }) => extended && id === EXTENDED_CAPABILITY.sriov);
  if (found === undefined) return undefined;
  const register = (at: number): number => config.read(found.offset + at, 2);
  const control = register(AT.control);
  return {
    enabled: (control & CONTROL.enable) !== 0,
    memorySpace: (control & CONTROL.memorySpace) !== 0,
    functions: register(AT.functions),
    totalFunctions: register(AT.totalFunctions),
    firstOffset: register(AT.firstOffset),
    stride: register(AT.stride),
    device: register(AT.device),
  };
}

/** Where its virtual functions are, as far as routing IDs reach. */
export function virtualPlaces(physical: Bdf, { functions, totalFunctions, firstOffset, stride }: Sriov): readonly Bdf[] {
  const places: Bdf[] = [];
  for (let i = 0; i < Math.min(functions, totalFunctions); i++) {
    const place = (physical & 0xffff) + firstOffset + i * stride;
    if (place > 0xffff) break;
    places.push(bdfFromNumber(physical - (physical & 0xffff) + place));
  }
  return places;
}

/**
 * A virtual function's own space at power-up: IDs of all ones, BARs that are not there, FLR, and of the capabilities that its physical function has those
 * that it does not share with it (§9.3.4, §9.3.6, §9.3.7). `msix`: its own, which stands in a VF BAR.
 */
export function virtualConfig(physical: ConfigSpace, msix?: MsixSpec): Uint8Array {
  const has = (id: number): boolean => physical.capabilities.some((one) => one.extended && one.id === id);
  return endpointConfig({
    vendor: NO_ID,
    device: NO_ID,
    classCode: physical.classCode,
    bars: [],
    capabilities: {
      express: { portType: physical.portType, flr: true, maxPayloadBytes: 256, maxReadRequestBytes: 512 },
      ...(msix === undefined ? {} : { msix }),
      // A depth of 0 in the register: the queue is the physical function's.
      ...(physical.atsSupported ? { ats: { queueDepth: 32 } } : {}),
      ...(has(EXTENDED_CAPABILITY.acs) ? { acs: { offered: 0x5f, enabled: 0x1d } } : {}),
    },
  });
}
