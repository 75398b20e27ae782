/** Registers of the extended capabilities whose layout depends on what they offer. Sections are those of PCIe Base r6.0. */
import type { CapabilityBody } from './capability-body.ts';
import { kept, rw, rws, w1c, w1cs } from './fields.ts';
import { CONFIG_EFFECT, type Field, type Register, type RegisterTable } from './register-table.ts';

export function aerBytes(body: CapabilityBody): number {
  return body.root ? 0x38 : 0x2c;
}

export function aerRegisters(body: CapabilityBody): RegisterTable {
  const uncorrectable = (kind: (low: number, high?: number) => Field): Record<string, Field> => ({
    dataLink: kind(4),
    surpriseDown: kind(5),
    transaction: kind(12, 26),
  });
  const correctable = (kind: (low: number, high?: number) => Field): Record<string, Field> => ({
    receiver: kind(0),
    dataLink: kind(6, 8),
    other: kind(12, 15),
  });
  return {
    uncorrectableStatus: { offset: 4, bytes: 4, cite: '§7.8.4.2', fields: uncorrectable(w1cs) },
    uncorrectableMask: { offset: 8, bytes: 4, cite: '§7.8.4.3', fields: uncorrectable(rws) },
    uncorrectableSeverity: { offset: 0xc, bytes: 4, cite: '§7.8.4.4', fields: uncorrectable(rws) },
    correctableStatus: { offset: 0x10, bytes: 4, cite: '§7.8.4.5', fields: correctable(w1cs) },
    correctableMask: { offset: 0x14, bytes: 4, cite: '§7.8.4.6', fields: correctable(rws) },
    control: {
      offset: 0x18,
      bytes: 4,
      cite: '§7.8.4.7',
      fields: {
        ...(body.bit(0x18, 5) ? { ecrcGeneration: rws(6) } : {}),
        ...(body.bit(0x18, 7) ? { ecrcCheck: rws(8) } : {}),
        ...(body.bit(0x18, 9) ? { multipleHeaders: rws(10) } : {}),
      },
    },
    ...(body.root ? AER_ROOT : {}),
  };
}

const AER_ROOT: RegisterTable = {
  rootCommand: { offset: 0x2c, bytes: 4, cite: '§7.8.4.9', fields: { reporting: rw(0, 2) } },
  rootStatus: { offset: 0x30, bytes: 4, cite: '§7.8.4.10', fields: { received: w1cs(0, 6) } },
};

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

export function acsRegisters(body: CapabilityBody): RegisterTable {
  const fields: Record<string, Field> = {};
  for (let bit = 0; bit <= 6; bit++) if (body.bit(4, bit)) fields[`control${bit}`] = rw(bit);
  return { control: { offset: 6, bytes: 2, cite: '§7.7.11.3', effect: CONFIG_EFFECT.acs, fields } };
}

/** Without the VF BARs, whose masks depend on sizes: {@link ./bars.ts}. */
export function sriovRegisters(body: CapabilityBody): RegisterTable {
  return {
    control: {
      offset: 8,
      bytes: 2,
      cite: '§9.3.3.3',
      effect: CONFIG_EFFECT.sriov,
      fields: { enable: rw(0), ...(body.bit(4, 0) ? { migration: rw(1, 2) } : {}), memorySpace: rw(3), ariHierarchy: rw(4) },
    },
    status: { offset: 0xa, bytes: 2, cite: '§9.3.3.4', fields: { migration: w1c(0) } },
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
