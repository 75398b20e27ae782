/** Registers of the extended capabilities whose layout depends on what they offer. Sections are those of PCIe Base r6.0. */
import { PORT_TYPE, type CapabilityBody } from './capability-body.ts';
import { kept, ros, rw, rws, trigger, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type Field, type Register, type RegisterTable } from './register-table.ts';

/** Reset values: severity and masks as QEMU's pcie_regs.h has them too (PCI_ERR_UNC_SEVERITY_DEFAULT, _MASK_DEFAULT, PCI_ERR_COR_MASK_DEFAULT). */
export const AER_RESET = { uncorrectableMask: 0x0240_0000, severity: 0x0046_2030, correctableMask: 0xe000 } as const;
/** Bits of the uncorrectable and of the correctable registers: from which to which. */
const UNCORRECTABLE = { dataLink: [4, 4], surpriseDown: [5, 5], transaction: [12, 26] } as const;
const CORRECTABLE = { receiver: [0, 0], dataLink: [6, 8], other: [12, 15] } as const;

export function aerBytes(body: CapabilityBody): number {
  return body.root ? 0x38 : 0x2c;
}

/** The same bits in another kind, each with its part of the register's reset value. */
function errors(
  bits: Readonly<Record<string, readonly [number, number]>>,
  kind: (low: number, high: number, reset: number) => Field,
  reset = 0,
): Record<string, Field> {
  return Object.fromEntries(Object.entries(bits).map(([name, [low, high]]) => [name, kind(low, high, fieldOf(reset, low, high))]));
}

function fieldOf(value: number, low: number, high: number): number {
  return Math.floor(value / 2 ** low) % 2 ** (high - low + 1);
}

export function aerRegisters(body: CapabilityBody): RegisterTable {
  return {
    uncorrectableStatus: { offset: 4, bytes: 4, cite: '§7.8.4.2', fields: errors(UNCORRECTABLE, w1cs) },
    uncorrectableMask: { offset: 8, bytes: 4, cite: '§7.8.4.3', fields: errors(UNCORRECTABLE, rws, AER_RESET.uncorrectableMask) },
    uncorrectableSeverity: { offset: 0xc, bytes: 4, cite: '§7.8.4.4', fields: errors(UNCORRECTABLE, rws, AER_RESET.severity) },
    correctableStatus: { offset: 0x10, bytes: 4, cite: '§7.8.4.5', fields: errors(CORRECTABLE, w1cs) },
    correctableMask: { offset: 0x14, bytes: 4, cite: '§7.8.4.6', fields: errors(CORRECTABLE, rws, AER_RESET.correctableMask) },
    control: {
      offset: 0x18,
      bytes: 4,
      cite: '§7.8.4.7',
      fields: {
        firstError: ros(0, 4),
        ...(body.bit(0x18, 5) ? { ecrcGeneration: rws(6) } : {}),
        ...(body.bit(0x18, 7) ? { ecrcCheck: rws(8) } : {}),
        ...(body.bit(0x18, 9) ? { multipleHeaders: rws(10) } : {}),
        prefixLogPresent: ros(11),
      },
    },
    ...logRegisters(0x1c, 4, '§7.8.4.8'),
    ...(body.root ? AER_ROOT : {}),
  };
}

/** Dwords that hardware fills, and that only a cold reset empties. */
function logRegisters(start: number, dwords: number, cite: string): RegisterTable {
  const table: Record<string, Register> = {};
  for (let i = 0; i < dwords; i++) table[`log${i}`] = { offset: start + 4 * i, bytes: 4, cite, fields: { log: ros(0, 31) } };
  return table;
}

const AER_ROOT: RegisterTable = {
  rootCommand: { offset: 0x2c, bytes: 4, cite: '§7.8.4.9', fields: { reporting: rw(0, 2) } },
  rootStatus: { offset: 0x30, bytes: 4, cite: '§7.8.4.10', fields: { received: w1cs(0, 6) } },
  errorSources: { offset: 0x34, bytes: 4, cite: '§7.8.4.11', fields: { sources: ros(0, 31) } },
};

/** Errors of RP PIO, each for configuration, I/O and memory requests (§7.9.14.6). */
const RP_PIO = { configuration: [0, 2], io: [8, 10], memory: [16, 18] } as const;
const RP_PIO_ALL = 0x0007_0707;

export function dpcBytes(body: CapabilityBody): number {
  return hasRootPortPio(body) ? 0x20 + 4 * (body.u8(5) & 0xf) : 0xc;
}

function hasRootPortPio(body: CapabilityBody): boolean {
  return body.portType === PORT_TYPE.rootPort && body.bit(4, 5);
}

export function dpcRegisters(body: CapabilityBody): RegisterTable {
  return {
    control: {
      offset: 6,
      bytes: 2,
      cite: '§7.9.14.3',
      effect: CONFIG_EFFECT.slot,
      fields: {
        trigger: rw(0, 1),
        completion: rw(2),
        interrupt: rw(3),
        errorCorrectable: rw(4),
        ...(body.bit(4, 6) ? { poisoned: rw(5) } : {}),
        ...(body.bit(4, 7) ? { softwareTrigger: trigger(6, CONFIG_EFFECT.containment) } : {}),
        ...(body.bit(4, 12) ? { linkActive: rw(7) } : {}),
      },
    },
    status: {
      offset: 8,
      bytes: 2,
      cite: '§7.9.14.4',
      effect: CONFIG_EFFECT.slot,
      fields: {
        triggered: w1cs(0),
        reason: ros(1, 2),
        interrupt: w1cs(3),
        extendedReason: ros(5, 6),
        ...(hasRootPortPio(body) ? { firstError: ros(8, 12, 0x1f) } : {}),
      },
    },
    errorSource: { offset: 0xa, bytes: 2, cite: '§7.9.14.5', fields: { source: ros(0, 15) } },
    ...(hasRootPortPio(body)
      ? {
          pioStatus: { offset: 0xc, bytes: 4, cite: '§7.9.14.6', fields: errors(RP_PIO, w1cs) },
          pioMask: { offset: 0x10, bytes: 4, cite: '§7.9.14.7', fields: errors(RP_PIO, rws, RP_PIO_ALL) },
          pioSeverity: { offset: 0x14, bytes: 4, cite: '§7.9.14.8', fields: errors(RP_PIO, rws) },
          pioSystemError: { offset: 0x18, bytes: 4, cite: '§7.9.14.9', fields: errors(RP_PIO, rws) },
          pioException: { offset: 0x1c, bytes: 4, cite: '§7.9.14.10', fields: errors(RP_PIO, rws) },
          ...logRegisters(0x20, body.u8(5) & 0xf, '§7.9.14.11'),
        }
      : {}),
  } satisfies RegisterTable;
}

export function virtualChannelRegisters(body: CapabilityBody): RegisterTable {
  const table: Record<string, Register> = {
    portControl: { offset: 0xc, bytes: 2, cite: '§7.9.1.4', fields: { arbitration: kept(1, 3) } },
  };
  for (let channel = 0; channel <= (body.u8(4) & 7); channel++) {
    table[`resource${channel}`] = {
      offset: 0x14 + 0xc * channel,
      bytes: 4,
      cite: '§7.9.1.8',
      // Traffic class 0 stays on channel 0, which is always enabled.
      fields: { trafficClasses: kept(1, 7), arbitration: kept(17, 19), ...(channel > 0 ? { id: kept(24, 26), enable: kept(31) } : {}) },
    };
  }
  return table;
}

export function acsBytes(body: CapabilityBody): number {
  return 8 + 4 * egressDwords(body);
}

/** Dwords of the Egress Control Vector; 256 ports or functions are written as 0. */
function egressDwords(body: CapabilityBody): number {
  return body.bit(4, 5) ? Math.ceil((body.u8(5) || 256) / 32) : 0;
}

export function acsRegisters(body: CapabilityBody): RegisterTable {
  const fields: Record<string, Field> = {};
  for (let bit = 0; bit <= 6; bit++) if (body.bit(4, bit)) fields[`control${bit}`] = rw(bit);
  // I/O Request Blocking, what is done with memory targets of ports, Unclaimed Request Redirect.
  if (body.bit(4, 7)) fields['enhanced'] = rw(7, 12);
  const table: Record<string, Register> = {
    control: { offset: 6, bytes: 2, cite: '§7.7.11.3', effect: CONFIG_EFFECT.acs, fields },
  };
  const ports = body.u8(5) || 256;
  for (let i = 0; i < egressDwords(body); i++) {
    const last = Math.min(31, ports - 1 - 32 * i);
    table[`egress${i}`] = { offset: 8 + 4 * i, bytes: 4, cite: '§7.7.11.4', effect: CONFIG_EFFECT.acs, fields: { ports: rw(0, last) } };
  }
  return table;
}

const TPH_TABLE_IN_CAPABILITY = 1;

/** Entries of the ST table, where it is in the capability (§7.9.13.4). */
function tphEntries(body: CapabilityBody): number {
  const location = (body.u16(4) >> 9) & 3;
  return location === TPH_TABLE_IN_CAPABILITY ? (body.u16(6) & 0x7ff) + 1 : 0;
}

export function tphBytes(body: CapabilityBody): number {
  return 0xc + 2 * tphEntries(body);
}

export function tphRegisters(body: CapabilityBody): RegisterTable {
  const table: Record<string, Register> = {
    control: { offset: 8, bytes: 4, cite: '§7.9.13.3', fields: { mode: rw(0, 2), enable: rw(8, 9) } },
  };
  // Steering tags of 16 bits where Extended TPH is offered, else of 8.
  const last = body.bit(4, 8) ? 15 : 7;
  for (let i = 0; i < tphEntries(body); i++) {
    table[`entry${i}`] = { offset: 0xc + 2 * i, bytes: 2, cite: '§7.9.13.4', fields: { tag: rw(0, last) } };
  }
  return table;
}

/** DVSEC of a CXL port (CXL r3.0 §8.1.5): vendor and ID, and the register whose bit 0 unmasks Secondary Bus Reset. */
export const CXL = { vendor: 0x1e98, port: 3, portControl: 0xc, unmaskBusReset: 1 } as const;

export function dvsecRegisters(body: CapabilityBody): RegisterTable {
  if (body.u16(4) !== CXL.vendor || body.u16(8) !== CXL.port) return {};
  return {
    portControl: {
      offset: CXL.portControl,
      bytes: 2,
      cite: 'CXL r3.0 §8.1.5.2',
      effect: CONFIG_EFFECT.bridgeControl,
      fields: { unmaskSecondaryBusReset: rw(0), unmaskLinkDisable: rw(1), alternateMemory: rw(2), alternateBusMaster: rw(3) },
    },
  };
}

/** Without the VF BARs, whose masks depend on sizes: {@link ./bars.ts}. */
export function sriovRegisters(body: CapabilityBody): RegisterTable {
  return {
    control: {
      offset: 8,
      bytes: 2,
      cite: '§9.3.3.3',
      effect: CONFIG_EFFECT.sriov,
      fields: {
        enable: rw(0),
        ...(body.bit(4, 0) ? { migration: rw(1, 2) } : {}),
        memorySpace: rw(3),
        ariHierarchy: rw(4),
        ...(body.bit(4, 2) ? { tenBitTags: rw(5) } : {}),
      },
    },
    status: { offset: 0xa, bytes: 2, cite: '§9.3.3.4', fields: body.bit(4, 0) ? { migration: w1c(0) } : {} },
    functions: { offset: 0x10, bytes: 2, cite: '§9.3.3.7', effect: CONFIG_EFFECT.sriov, fields: { count: rw(0, 15) } },
    pageSize: { offset: 0x20, bytes: 4, cite: '§9.3.3.13', effect: CONFIG_EFFECT.sriov, fields: supportedPages(body) },
  };
}

/** System Page Size takes the sizes that Supported Page Sizes shows; 4 KiB after a reset. */
function supportedPages(body: CapabilityBody): Record<string, Field> {
  const fields: Record<string, Field> = {};
  for (let bit = 0; bit < 32; bit++) if (body.bit(0x1c, bit)) fields[`pages${bit}`] = rw(bit, bit, bit === 0 ? 1 : 0);
  return fields;
}

/** Number of Resizable BARs, told by the first control register. */
export function resizableCount(body: CapabilityBody): number {
  return Math.min(6, (body.u8(8) >> 5) & 7);
}

export function resizableRegisters(body: CapabilityBody): RegisterTable {
  const table: Record<string, Register> = {};
  for (let i = 0; i < resizableCount(body); i++) {
    const offset = 8 + 8 * i;
    // The size after a reset is the function's own choice: the one that the image shows.
    const size = (body.u16(offset) >> 8) & 0x3f;
    table[`control${i}`] = { offset, bytes: 4, cite: '§7.8.6.3', effect: CONFIG_EFFECT.barSize, fields: { size: rw(8, 13, size) } };
  }
  return table;
}
