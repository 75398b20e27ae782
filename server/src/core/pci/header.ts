/**
 * Registers of the three header types, without the base address registers ({@link ./bars.ts}) whose masks depend on sizes.
 * Sections are those of PCIe Base r6.0 §7.5.1; CardBus: PC Card Standard 8.0 vol. 2 §5.4.2.
 */
import { rw, w1c } from './fields.ts';
import { CONFIG_EFFECT, type Field, type Register, type RegisterTable } from './register-table.ts';

/** Byte offsets in every header that code outside the tables needs. */
export const HEADER = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  classCode: 0x09,
  headerType: 0x0e,
  bar0: 0x10,
  primaryBus: 0x18,
  secondaryBus: 0x19,
  subordinateBus: 0x1a,
  rom: 0x30,
  bridgeRom: 0x38,
  capabilities: 0x34,
  cardbusCapabilities: 0x14,
  interruptPin: 0x3d,
  bridgeControl: 0x3e,
} as const;

export const COMMAND = { io: 1, memory: 2, busMaster: 4, parityErrorResponse: 0x40, systemError: 0x100, interruptDisable: 0x400 } as const;
/** Status bit 4: there is a capability list. */
export const STATUS_CAPABILITIES = 0x10;
/** Status bit 3: the function has a cause for INTx. */
export const STATUS_INTERRUPT = 8;
export const HEADER_TYPE = { endpoint: 0, bridge: 1, cardbus: 2 } as const;

const STATUS_ERRORS: Record<string, Field> = {
  masterDataParityError: w1c(8),
  signaledTargetAbort: w1c(11),
  receivedTargetAbort: w1c(12),
  receivedMasterAbort: w1c(13),
  systemError: w1c(14),
  detectedParityError: w1c(15),
};

/** Bits that PCIe hard-wires to zero are written only on conventional PCI. */
const COMMAND_PCI: Record<string, Field> = {
  specialCycles: rw(3),
  memoryWriteInvalidate: rw(4),
  vgaSnoop: rw(5),
  stepping: rw(7),
  fastBackToBack: rw(9),
};

function sharedRegisters(express: boolean): RegisterTable {
  return {
    command: {
      offset: 0x04,
      bytes: 2,
      cite: 'PCIe Base r6.0 §7.5.1.1.3',
      effect: CONFIG_EFFECT.command,
      fields: {
        ioSpace: rw(0),
        memorySpace: rw(1),
        busMaster: rw(2),
        parityErrorResponse: rw(6),
        serrEnable: rw(8),
        interruptDisable: rw(10),
        ...(express ? {} : COMMAND_PCI),
      },
    },
    status: { offset: 0x06, bytes: 2, cite: 'PCIe Base r6.0 §7.5.1.1.4', fields: STATUS_ERRORS },
    cacheLineSize: byte(0x0c, 'PCIe Base r6.0 §7.5.1.1.7'),
    interruptLine: byte(0x3c, 'PCIe Base r6.0 §7.5.1.1.12'),
    ...(express ? {} : { latencyTimer: byte(0x0d, 'PCI Local Bus r3.0 §6.2.4') }),
  };
}

/** Registers of the header that is in `image`. */
export function headerRegisters(image: Uint8Array, express: boolean): RegisterTable {
  const type = image[HEADER.headerType]! & 0x7f;
  if (type === HEADER_TYPE.bridge) return { ...sharedRegisters(express), ...bridgeRegisters(image, express) };
  if (type === HEADER_TYPE.cardbus) return { ...sharedRegisters(express), ...CARDBUS };
  return sharedRegisters(express);
}

function bridgeRegisters(image: Uint8Array, express: boolean): RegisterTable {
  const wideIo = (image[0x1c]! & 0xf) === 1;
  const widePrefetchable = (image[0x24]! & 0xf) === 1;
  return {
    ...busNumbers('PCIe Base r6.0 §7.5.1.3.2'),
    ...(express ? {} : { secondaryLatencyTimer: byte(0x1b, 'PCI-to-PCI Bridge r1.2 §3.2.5.6') }),
    ioBase: window(0x1c, 1, 4, 'PCIe Base r6.0 §7.5.1.3.6'),
    ioLimit: window(0x1d, 1, 4, 'PCIe Base r6.0 §7.5.1.3.6'),
    secondaryStatus: { offset: 0x1e, bytes: 2, cite: 'PCIe Base r6.0 §7.5.1.3.7', fields: STATUS_ERRORS },
    memoryBase: window(0x20, 2, 4, 'PCIe Base r6.0 §7.5.1.3.8'),
    memoryLimit: window(0x22, 2, 4, 'PCIe Base r6.0 §7.5.1.3.8'),
    prefetchableBase: window(0x24, 2, 4, 'PCIe Base r6.0 §7.5.1.3.9'),
    prefetchableLimit: window(0x26, 2, 4, 'PCIe Base r6.0 §7.5.1.3.9'),
    ...(widePrefetchable
      ? {
          prefetchableBaseUpper: window(0x28, 4, 0, 'PCIe Base r6.0 §7.5.1.3.10'),
          prefetchableLimitUpper: window(0x2c, 4, 0, 'PCIe Base r6.0 §7.5.1.3.10'),
        }
      : {}),
    ...(wideIo
      ? {
          ioBaseUpper: window(0x30, 2, 0, 'PCIe Base r6.0 §7.5.1.3.11'),
          ioLimitUpper: window(0x32, 2, 0, 'PCIe Base r6.0 §7.5.1.3.11'),
        }
      : {}),
    bridgeControl: {
      offset: 0x3e,
      bytes: 2,
      cite: 'PCIe Base r6.0 §7.5.1.3.13',
      effect: CONFIG_EFFECT.bridgeControl,
      fields: {
        parityErrorResponse: rw(0),
        serrEnable: rw(1),
        isaEnable: rw(2),
        vgaEnable: rw(3),
        vga16: rw(4),
        secondaryBusReset: rw(6),
        ...(express
          ? {}
          : { masterAbortMode: rw(5), fastBackToBack: rw(7), discardTimers: rw(8, 9), discardStatus: w1c(10), discardSerr: rw(11) }),
      },
    },
  };
}

const CARDBUS: RegisterTable = {
  ...busNumbers('PC Card 8.0 vol. 2 §5.4.2'),
  secondaryLatencyTimer: byte(0x1b, 'PC Card 8.0 vol. 2 §5.4.2'),
  secondaryStatus: { offset: 0x16, bytes: 2, cite: 'PC Card 8.0 vol. 2 §5.4.2', fields: STATUS_ERRORS },
  memoryBase0: window(0x1c, 4, 12, 'PC Card 8.0 vol. 2 §5.4.2'),
  memoryLimit0: window(0x20, 4, 12, 'PC Card 8.0 vol. 2 §5.4.2'),
  memoryBase1: window(0x24, 4, 12, 'PC Card 8.0 vol. 2 §5.4.2'),
  memoryLimit1: window(0x28, 4, 12, 'PC Card 8.0 vol. 2 §5.4.2'),
  ioBase0: window(0x2c, 4, 2, 'PC Card 8.0 vol. 2 §5.4.2'),
  ioLimit0: window(0x30, 4, 2, 'PC Card 8.0 vol. 2 §5.4.2'),
  ioBase1: window(0x34, 4, 2, 'PC Card 8.0 vol. 2 §5.4.2'),
  ioLimit1: window(0x38, 4, 2, 'PC Card 8.0 vol. 2 §5.4.2'),
  bridgeControl: {
    offset: 0x3e,
    bytes: 2,
    cite: 'PC Card 8.0 vol. 2 §5.4.2',
    effect: CONFIG_EFFECT.bridgeControl,
    fields: {
      parityErrorResponse: rw(0),
      serrEnable: rw(1),
      isaEnable: rw(2),
      vgaEnable: rw(3),
      masterAbortMode: rw(5),
      cardbusReset: rw(6),
      interruptRouting: rw(7),
      prefetchMemory0: rw(8),
      prefetchMemory1: rw(9),
      postWrites: rw(10),
    },
  },
};

function busNumbers(cite: string): RegisterTable {
  return {
    primaryBus: { ...byte(0x18, cite), effect: CONFIG_EFFECT.routing },
    secondaryBus: { ...byte(0x19, cite), effect: CONFIG_EFFECT.routing },
    subordinateBus: { ...byte(0x1a, cite), effect: CONFIG_EFFECT.routing },
  };
}

function byte(offset: number, cite: string): Register {
  return { offset, bytes: 1, cite, fields: { value: rw(0, 7) } };
}

/** A base or limit whose bits below `low` are read-only: they tell what the window can do. */
function window(offset: number, bytes: 1 | 2 | 4, low: number, cite: string): Register {
  return { offset, bytes, cite, effect: CONFIG_EFFECT.routing, fields: { address: rw(low, bytes * 8 - 1) } };
}
