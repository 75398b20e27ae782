/** The capabilities of the first 256 bytes, as data. Sections are those of PCIe Base r6.0 unless another text is named. */
import type { CapabilityBody, CapabilityKind } from './capability-body.ts';
import { expressBytes, expressRegisters } from './express-registers.ts';
import { kept, ro, rw, rws, trigger, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type Register, type RegisterTable } from './register-table.ts';

export const CAPABILITY = {
  powerManagement: 0x01,
  vpd: 0x03,
  msi: 0x05,
  pcix: 0x07,
  vendor: 0x09,
  subsystem: 0x0d,
  express: 0x10,
  msix: 0x11,
  advancedFeatures: 0x13,
  enhancedAllocation: 0x14,
} as const;

/** Bits of Power Management Control/Status (§7.5.2.2). */
export const POWER = { state: 3, noSoftReset: 8 } as const;
/** Device Capabilities bit 28 is bit 4 of its last byte; Device Status bit 5. */
export const EXPRESS_FLR = 1 << 28;
export const TRANSACTIONS_PENDING = 0x20;

/** D1 and D2 are optional: a write of one that the function lacks is dropped (§7.5.2.2). `capabilities`: Power Management Capabilities; `state`: 0 to 3. */
export function hasPowerState(capabilities: number, state: number): boolean {
  return state === 1 ? (capabilities & 0x200) !== 0 : state === 2 ? (capabilities & 0x400) !== 0 : true;
}

const readOnly = (): RegisterTable => ({});

export const CAPABILITIES: readonly CapabilityKind[] = [
  {
    id: CAPABILITY.powerManagement,
    name: 'Power Management',
    cite: '§7.5.2',
    bytes: () => 8,
    registers: powerRegisters,
  },
  {
    id: CAPABILITY.vpd,
    name: 'Vital Product Data',
    cite: '§7.9.18',
    bytes: () => 8,
    // Nothing resets them: an access of software's is in progress, or not.
    registers: () => ({
      address: { offset: 2, bytes: 2, cite: '§7.9.18.1', fields: { address: kept(0, 14), flag: kept(15) } },
      data: { offset: 4, bytes: 4, cite: '§7.9.18.2', fields: { data: kept(0, 31) } },
    }),
  },
  { id: CAPABILITY.msi, name: 'MSI', cite: '§7.7.1', bytes: msiBytes, registers: msiRegisters },
  {
    id: CAPABILITY.pcix,
    name: 'PCI-X',
    cite: 'PCI-X Addendum r2.0 §7.2',
    bytes: (body) => (body.bridge ? 0x10 : 8),
    registers: (body) => (body.bridge ? pcixBridgeRegisters() : pcixRegisters(body)),
  },
  { id: CAPABILITY.vendor, name: 'Vendor Specific', cite: '§7.9.4', bytes: (body) => Math.max(3, body.u8(2)), registers: readOnly },
  { id: CAPABILITY.subsystem, name: 'Subsystem ID', cite: '§7.9.23', bytes: () => 8, registers: readOnly },
  { id: CAPABILITY.express, name: 'PCI Express', cite: '§7.5.3', bytes: expressBytes, registers: expressRegisters },
  {
    id: CAPABILITY.msix,
    name: 'MSI-X',
    cite: '§7.7.2',
    bytes: () => 12,
    registers: () => ({
      control: { offset: 2, bytes: 2, cite: '§7.7.2.2', effect: CONFIG_EFFECT.msi, fields: { functionMask: rw(14), enable: rw(15) } },
    }),
  },
  {
    id: CAPABILITY.advancedFeatures,
    name: 'Advanced Features',
    cite: 'PCI ECN Advanced Capabilities',
    bytes: () => 6,
    registers: (body) => ({
      control: {
        offset: 4,
        bytes: 1,
        cite: 'PCI ECN Advanced Capabilities',
        fields: body.bit(3, 1) ? { initiateFlr: trigger(0, CONFIG_EFFECT.flr) } : {},
      },
      status: { offset: 5, bytes: 1, cite: 'PCI ECN Advanced Capabilities', fields: { transactionsPending: ro(0) } },
    }),
  },
  { id: CAPABILITY.enhancedAllocation, name: 'Enhanced Allocation', cite: '§7.8.5', bytes: () => 4, registers: readOnly },
];

function powerRegisters(body: CapabilityBody): RegisterTable {
  const wakes = body.u8(3) >> 3 !== 0;
  // Data Scale or Data is there where the Data register is.
  const data = ((body.u8(5) >> 5) & 3) !== 0 || body.u8(7) !== 0;
  return {
    control: {
      offset: 4,
      bytes: 2,
      cite: '§7.5.2.2',
      effect: CONFIG_EFFECT.power,
      fields: {
        powerState: rw(0, 1),
        ...(wakes ? { pmeEnable: rws(8), pmeStatus: w1cs(15) } : {}),
        ...(data ? { dataSelect: rw(9, 12) } : {}),
      },
    },
  };
}

function pcixRegisters(body: CapabilityBody): RegisterTable {
  // As many split transactions as the function was designed for, at most.
  const splits = (body.u16(6) >> 7) & 7;
  return {
    command: {
      offset: 2,
      bytes: 2,
      cite: 'PCI-X Addendum r2.0 §7.2.3',
      fields: { parityRecovery: rw(0), relaxedOrdering: rw(1, 1, 1), readCount: rw(2, 3), splitTransactions: rw(4, 6, splits) },
    },
    status: {
      offset: 4,
      bytes: 4,
      cite: 'PCI-X Addendum r2.0 §7.2.4',
      fields: { splitErrors: w1c(18, 19), receivedSplitError: w1c(29) },
    },
  };
}

/** A bridge's: its statuses, and how many split transactions it commits to in each direction. */
function pcixBridgeRegisters(): RegisterTable {
  const commitment = (offset: number): Register => ({
    offset,
    bytes: 4,
    cite: 'PCI-X Addendum r2.0 §8.6.2.5',
    fields: { commitmentLimit: rw(16, 31, 0xffff) },
  });
  return {
    secondaryStatus: { offset: 2, bytes: 2, cite: 'PCI-X Addendum r2.0 §8.6.2.3', fields: { splitErrors: w1c(2, 5) } },
    bridgeStatus: { offset: 4, bytes: 4, cite: 'PCI-X Addendum r2.0 §8.6.2.4', fields: { splitErrors: w1c(18, 21) } },
    upstreamSplit: commitment(8),
    downstreamSplit: commitment(0xc),
  };
}

export function msiBytes(body: CapabilityBody): number {
  return (body.bit(2, 7) ? 14 : 10) + (body.bit(2, 8) ? 10 : 0);
}

function msiRegisters(body: CapabilityBody): RegisterTable {
  const wide = body.bit(2, 7);
  const data = wide ? 0xc : 8;
  const effect = CONFIG_EFFECT.msi;
  const extendedData = body.bit(2, 9);
  // Vectors that the function asks for have mask and pending bits; the others are reserved.
  const vectors = 1 << Math.min(5, (body.u8(2) >> 1) & 7);
  return {
    control: {
      offset: 2,
      bytes: 2,
      cite: '§7.7.1.2',
      effect,
      fields: { enable: rw(0), vectors: rw(4, 6), ...(extendedData ? { extendedDataEnable: rw(10) } : {}) },
    },
    address: { offset: 4, bytes: 4, cite: '§7.7.1.3', effect, fields: { address: rw(2, 31) } },
    ...(wide ? { addressUpper: { offset: 8, bytes: 4, cite: '§7.7.1.4', effect, fields: { address: rw(0, 31) } } } : {}),
    data: { offset: data, bytes: 2, cite: '§7.7.1.5', effect, fields: { data: rw(0, 15) } },
    ...(extendedData ? { extendedData: { offset: data + 2, bytes: 2, cite: '§7.7.1.6', effect, fields: { data: rw(0, 15) } } } : {}),
    ...(body.bit(2, 8) ? { mask: { offset: data + 4, bytes: 4, cite: '§7.7.1.7', effect, fields: { mask: rw(0, vectors - 1) } } } : {}),
    ...(body.bit(2, 8) ? { pending: { offset: data + 8, bytes: 4, cite: '§7.7.1.8', fields: { pending: ro(0, vectors - 1) } } } : {}),
  };
}
