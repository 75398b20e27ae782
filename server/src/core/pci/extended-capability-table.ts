/** The extended capabilities, as data. Sections are those of PCIe Base r6.0. */
import type { CapabilityKind } from './capability-body.ts';
import {
  acsBytes,
  acsRegisters,
  aerBytes,
  aerRegisters,
  dpcBytes,
  dpcRegisters,
  dvsecRegisters,
  resizableCount,
  resizableRegisters,
  sriovRegisters,
  tphBytes,
  tphRegisters,
  virtualChannelRegisters,
} from './extended-capability-registers.ts';
import { kept, ro, rw, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type RegisterTable } from './register-table.ts';

export const EXTENDED_CAPABILITY = {
  aer: 0x01,
  virtualChannel: 0x02,
  serialNumber: 0x03,
  powerBudgeting: 0x04,
  vendor: 0x0b,
  acs: 0x0d,
  ari: 0x0e,
  ats: 0x0f,
  sriov: 0x10,
  pri: 0x13,
  resizableBar: 0x15,
  tph: 0x17,
  ltr: 0x18,
  secondaryExpress: 0x19,
  pasid: 0x1b,
  dpc: 0x1d,
  l1Substates: 0x1e,
  ptm: 0x1f,
  dvsec: 0x23,
} as const;

const readOnly = (): RegisterTable => ({});

/** Offset of ATS Control (§10.5.1.3): the Smallest Translation Unit in its first byte, Enable in its second. */
export const ATS_CONTROL = 6;
export const ATS_ENABLE = 0x8000;
/** Source Validation, Request Redirect, Completion Redirect, Upstream Forwarding: Linux's REQ_ACS_FLAGS (drivers/iommu/iommu.c). */
export const ACS_ISOLATION = 0x01 | 0x04 | 0x08 | 0x10;

export const EXTENDED_CAPABILITIES: readonly CapabilityKind[] = [
  { id: EXTENDED_CAPABILITY.aer, name: 'Advanced Error Reporting', cite: '§7.8.4', bytes: aerBytes, registers: aerRegisters },
  {
    id: EXTENDED_CAPABILITY.virtualChannel,
    name: 'Virtual Channel',
    cite: '§7.9.1',
    bytes: (body) => 0x10 + 0xc * (1 + (body.u8(4) & 7)),
    registers: virtualChannelRegisters,
  },
  { id: EXTENDED_CAPABILITY.serialNumber, name: 'Device Serial Number', cite: '§7.9.3', bytes: () => 12, registers: readOnly },
  {
    id: EXTENDED_CAPABILITY.powerBudgeting,
    name: 'Power Budgeting',
    cite: '§7.8.1',
    bytes: () => 0x10,
    registers: () => ({ dataSelect: { offset: 4, bytes: 1, cite: '§7.8.1.2', fields: { index: rw(0, 7) } } }),
  },
  {
    id: EXTENDED_CAPABILITY.vendor,
    name: 'Vendor Specific Extended',
    cite: '§7.9.5',
    bytes: (body) => Math.max(8, body.u16(6) >> 4),
    registers: readOnly,
  },
  {
    id: EXTENDED_CAPABILITY.acs,
    name: 'Access Control Services',
    cite: '§7.7.11',
    bytes: acsBytes,
    registers: acsRegisters,
  },
  {
    id: EXTENDED_CAPABILITY.ari,
    name: 'Alternative Routing-ID',
    cite: '§7.8.8',
    bytes: () => 8,
    registers: (body) => ({
      control: {
        offset: 6,
        bytes: 2,
        cite: '§7.8.8.3',
        fields: { ...(body.bit(4, 0) ? { mfvcGroups: rw(0) } : {}), ...(body.bit(4, 1) ? { acsGroups: rw(1), group: rw(4, 6) } : {}) },
      },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.ats,
    name: 'Address Translation Services',
    cite: '§10.5.1',
    bytes: () => 8,
    registers: () => ({
      control: {
        offset: ATS_CONTROL,
        bytes: 2,
        cite: '§10.5.1.3',
        effect: CONFIG_EFFECT.ats,
        fields: { smallestUnit: rw(0, 4), enable: rw(15) },
      },
    }),
  },
  { id: EXTENDED_CAPABILITY.sriov, name: 'Single Root I/O Virtualization', cite: '§9.3.3', bytes: () => 0x40, registers: sriovRegisters },
  {
    id: EXTENDED_CAPABILITY.pri,
    name: 'Page Request Interface',
    cite: '§10.5.2',
    bytes: () => 0x10,
    registers: () => ({
      control: {
        offset: 4,
        bytes: 2,
        cite: '§10.5.2.2',
        effect: CONFIG_EFFECT.pri,
        fields: { enable: rw(0), reset: { at: [1, 1], access: 'trigger', effect: CONFIG_EFFECT.priReset } },
      },
      status: {
        offset: 6,
        bytes: 2,
        cite: '§10.5.2.3',
        fields: { responseFailure: w1c(0), unexpectedGroup: w1c(1), stopped: ro(8, 8, 1) },
      },
      allocation: { offset: 0xc, bytes: 4, cite: '§10.5.2.5', fields: { requests: rw(0, 31) } },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.resizableBar,
    name: 'Resizable BAR',
    cite: '§7.8.6',
    bytes: (body) => 4 + 8 * Math.max(1, resizableCount(body)),
    registers: resizableRegisters,
  },
  {
    id: EXTENDED_CAPABILITY.tph,
    name: 'TPH Requester',
    cite: '§7.9.13',
    bytes: tphBytes,
    registers: tphRegisters,
  },
  {
    id: EXTENDED_CAPABILITY.ltr,
    name: 'Latency Tolerance Reporting',
    cite: '§7.8.2',
    bytes: () => 8,
    registers: () => ({
      snoop: { offset: 4, bytes: 2, cite: '§7.8.2.2', fields: { value: rw(0, 9), scale: rw(10, 12) } },
      noSnoop: { offset: 6, bytes: 2, cite: '§7.8.2.3', fields: { value: rw(0, 9), scale: rw(10, 12) } },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.secondaryExpress,
    name: 'Secondary PCI Express',
    cite: '§7.7.3',
    bytes: () => 0xc,
    registers: (body) => ({
      ...(body.downstream
        ? { linkControl3: { offset: 4, bytes: 4, cite: '§7.7.3.2', fields: { equalization: rw(0, 1), lowerSkp: kept(9, 15) } } as const }
        : {}),
      laneErrors: { offset: 8, bytes: 4, cite: '§7.7.3.3', fields: { lanes: w1cs(0, 31) } },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.pasid,
    name: 'Process Address Space ID',
    cite: '§7.8.9',
    bytes: () => 8,
    registers: (body) => ({
      control: {
        offset: 6,
        bytes: 2,
        cite: '§7.8.9.3',
        effect: CONFIG_EFFECT.pasid,
        fields: { enable: rw(0), ...(body.bit(4, 1) ? { execute: rw(1) } : {}), ...(body.bit(4, 2) ? { privileged: rw(2) } : {}) },
      },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.dpc,
    name: 'Downstream Port Containment',
    cite: '§7.9.14',
    bytes: dpcBytes,
    registers: dpcRegisters,
  },
  {
    id: EXTENDED_CAPABILITY.l1Substates,
    name: 'L1 PM Substates',
    cite: '§7.8.3',
    bytes: () => 0x10,
    registers: () => ({
      control1: {
        offset: 8,
        bytes: 4,
        cite: '§7.8.3.3',
        fields: { enables: kept(0, 3), restore: kept(8, 15), threshold: kept(16, 25), scale: kept(29, 31) },
      },
      control2: { offset: 0xc, bytes: 4, cite: '§7.8.3.4', fields: { powerOn: kept(0, 1), value: kept(3, 7) } },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.ptm,
    name: 'Precision Time Measurement',
    cite: '§7.9.15',
    bytes: () => 0xc,
    registers: (body) => ({
      control: {
        offset: 8,
        bytes: 4,
        cite: '§7.9.15.3',
        fields: { enable: rw(0), ...(body.bit(4, 2) ? { root: rw(1) } : {}), granularity: rw(8, 15) },
      },
    }),
  },
  {
    id: EXTENDED_CAPABILITY.dvsec,
    name: 'Designated Vendor-Specific',
    cite: '§7.9.6',
    bytes: (body) => Math.max(10, body.u16(6) >> 4),
    registers: dvsecRegisters,
  },
];
