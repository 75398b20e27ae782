/** The capabilities of the first 256 bytes, as data. Sections are those of PCIe Base r6.0 unless another text is named. */
import { PORT_TYPE, type CapabilityBody, type CapabilityKind } from './capability-body.ts';
import { kept, rw, rws, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type RegisterTable } from './register-table.ts';

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

/** Byte offsets in the PCI Express capability (§7.5.3). */
export const EXPRESS = { flags: 2, deviceCapabilities: 4, deviceControl: 8, deviceStatus: 0xa } as const;
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
    registers: () => ({
      control: {
        offset: 4,
        bytes: 2,
        cite: '§7.5.2.2',
        effect: CONFIG_EFFECT.power,
        fields: { powerState: rw(0, 1), pmeEnable: rws(8), dataSelect: rw(9, 12), pmeStatus: w1cs(15) },
      },
    }),
  },
  { id: CAPABILITY.vpd, name: 'Vital Product Data', cite: '§7.9.18', bytes: () => 8, registers: readOnly },
  { id: CAPABILITY.msi, name: 'MSI', cite: '§7.7.1', bytes: msiBytes, registers: msiRegisters },
  {
    id: CAPABILITY.pcix,
    name: 'PCI-X',
    cite: 'PCI-X Addendum r2.0 §7.2',
    bytes: () => 8,
    registers: () => ({
      command: { offset: 2, bytes: 2, cite: 'PCI-X Addendum r2.0 §7.2.3', fields: { control: rw(0, 6) } },
      status: {
        offset: 4,
        bytes: 4,
        cite: 'PCI-X Addendum r2.0 §7.2.4',
        fields: { splitErrors: w1c(18, 19), receivedSplitError: w1c(29) },
      },
    }),
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
        fields: body.bit(3, 1) ? { initiateFlr: { at: [0, 0], access: 'trigger', effect: CONFIG_EFFECT.flr } } : {},
      },
    }),
  },
  { id: CAPABILITY.enhancedAllocation, name: 'Enhanced Allocation', cite: '§7.8.5', bytes: () => 4, registers: readOnly },
];

function msiBytes(body: CapabilityBody): number {
  return (body.bit(2, 7) ? 14 : 10) + (body.bit(2, 8) ? 10 : 0);
}

function msiRegisters(body: CapabilityBody): RegisterTable {
  const wide = body.bit(2, 7);
  const data = wide ? 0xc : 8;
  const effect = CONFIG_EFFECT.msi;
  const extendedData = body.bit(2, 9);
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
    ...(body.bit(2, 8) ? { mask: { offset: data + 4, bytes: 4, cite: '§7.7.1.7', effect, fields: { mask: rw(0, 31) } } } : {}),
  };
}

function expressBytes(body: CapabilityBody): number {
  if ((body.u16(2) & 0xf) >= 2) return 0x3c;
  return body.root ? 0x24 : hasSlot(body) ? 0x1c : 0x14;
}

function hasSlot(body: CapabilityBody): boolean {
  return body.downstream && body.bit(2, 8);
}

/** An integrated endpoint or event collector has no link. */
function hasLink(body: CapabilityBody): boolean {
  return body.portType !== PORT_TYPE.integratedEndpoint && body.portType !== PORT_TYPE.eventCollector;
}

function expressRegisters(body: CapabilityBody): RegisterTable {
  return {
    ...expressDevice(body),
    ...(hasLink(body) ? expressLink(body) : {}),
    ...(hasSlot(body) ? EXPRESS_SLOT : {}),
    ...(body.root ? EXPRESS_ROOT : {}),
    ...((body.u16(2) & 0xf) >= 2 ? expressSecond(body) : {}),
  };
}

function expressDevice(body: CapabilityBody): RegisterTable {
  const flr = body.bit(EXPRESS.deviceCapabilities, 28);
  const retry = body.portType === PORT_TYPE.expressToPci;
  return {
    deviceControl: {
      offset: EXPRESS.deviceControl,
      bytes: 2,
      cite: '§7.5.3.4',
      effect: CONFIG_EFFECT.deviceControl,
      fields: {
        errorReporting: rw(0, 3),
        relaxedOrdering: rw(4, 4, 1),
        maxPayload: kept(5, 7),
        ...(body.bit(4, 5) ? { extendedTag: rw(8) } : {}),
        ...((body.u8(4) & 0x18) !== 0 ? { phantomFunctions: rw(9) } : {}),
        auxPower: rws(10),
        noSnoop: rw(11, 11, 1),
        maxReadRequest: rw(12, 14, 2),
        ...(flr ? { initiateFlr: { at: [15, 15], access: 'trigger', effect: CONFIG_EFFECT.flr } as const } : {}),
        ...(retry ? { configurationRetry: rw(15) } : {}),
      },
    },
    deviceStatus: { offset: EXPRESS.deviceStatus, bytes: 2, cite: '§7.5.3.5', fields: { errors: w1c(0, 3), emergencyPower: w1c(6) } },
  };
}

function expressLink(body: CapabilityBody): RegisterTable {
  const endpoint = body.portType === PORT_TYPE.endpoint || body.portType === PORT_TYPE.legacyEndpoint;
  return {
    linkControl: {
      offset: 0x10,
      bytes: 2,
      cite: '§7.5.3.7',
      fields: {
        aspm: kept(0, 1),
        ...(endpoint ? { readCompletionBoundary: kept(3) } : {}),
        ...(body.downstream ? { linkDisable: rw(4), bandwidthInterrupts: rw(10, 11), drsSignaling: rw(14, 15) } : {}),
        commonClock: kept(6),
        extendedSynch: kept(7),
        ...(body.bit(0xc, 18) ? { clockPowerManagement: kept(8) } : {}),
        widthDisable: kept(9),
      },
    },
    ...(body.downstream
      ? { linkStatus: { offset: 0x12, bytes: 2, cite: '§7.5.3.8', fields: { bandwidthStatus: w1c(14, 15) } } as const }
      : {}),
  };
}

const EXPRESS_SLOT: RegisterTable = {
  slotControl: { offset: 0x18, bytes: 2, cite: '§7.5.3.10', fields: { control: rw(0, 13) } },
  slotStatus: { offset: 0x1a, bytes: 2, cite: '§7.5.3.11', fields: { events: w1c(0, 4), linkStateChanged: w1c(8) } },
};

const EXPRESS_ROOT: RegisterTable = {
  rootControl: { offset: 0x1c, bytes: 2, cite: '§7.5.3.12', fields: { control: rw(0, 4) } },
  rootStatus: { offset: 0x20, bytes: 4, cite: '§7.5.3.14', fields: { pmeStatus: w1c(16) } },
};

function expressSecond(body: CapabilityBody): RegisterTable {
  return {
    deviceControl2: { offset: 0x28, bytes: 2, cite: '§7.5.3.16', effect: CONFIG_EFFECT.deviceControl, fields: { control: rw(0, 15) } },
    ...(hasLink(body)
      ? ({
          linkControl2: { offset: 0x30, bytes: 2, cite: '§7.5.3.19', fields: { target: rws(0, 5), margin: rws(7, 15) } },
          linkStatus2: { offset: 0x32, bytes: 2, cite: '§7.5.3.20', fields: { equalizationRequest: w1cs(5) } },
        } as const)
      : {}),
  };
}
