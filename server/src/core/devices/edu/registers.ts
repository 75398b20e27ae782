/** BAR 0 of `edu`, as QEMU documents it (docs/specs/edu.rst): identification, liveness, factorial, interrupts, and a DMA engine with a buffer. */
import type { BarRegisterTable } from '../register-map.ts';

/** Below 0x80. */
const WORD = [4];
const WIDE = [4, 8];

export const EDU_REGISTERS = {
  identification: { offset: 0x00, bytes: 4, access: 'ro', reset: 0x0100_00ed, sizes: WORD, means: 'major and minor version, 00 and ed' },
  liveness: { offset: 0x04, bytes: 4, access: 'rw', reset: 0, sizes: WORD, means: 'reads as the inverse of what was written' },
  factorial: {
    offset: 0x08,
    bytes: 4,
    access: 'rw',
    reset: 0,
    sizes: WORD,
    means: 'its factorial, modulo 2^32, replaces what is written; not written while computing',
  },
  status: {
    offset: 0x20,
    bytes: 4,
    access: 'rw',
    reset: 0,
    writable: 0x80,
    sizes: WORD,
    means: 'bit 0: computing (read-only); bit 7: raise interrupt 1 when the factorial is there',
  },
  interruptStatus: { offset: 0x24, bytes: 4, access: 'ro', reset: 0, sizes: WORD, means: 'values that have raised the interrupt' },
  interruptRaise: { offset: 0x60, bytes: 4, access: 'wo', reset: 0, sizes: WORD, means: 'raises the interrupt: or into interrupt status' },
  interruptAcknowledge: { offset: 0x64, bytes: 4, access: 'wo', reset: 0, sizes: WORD, means: 'clears these bits of interrupt status' },
  dmaSource: { offset: 0x80, bytes: 8, access: 'rw', reset: 0, sizes: WIDE, means: 'where the DMA is from' },
  dmaDestination: { offset: 0x88, bytes: 8, access: 'rw', reset: 0, sizes: WIDE, means: 'where the DMA is to' },
  dmaCount: { offset: 0x90, bytes: 8, access: 'rw', reset: 0, sizes: WIDE, means: 'bytes of the transfer' },
  dmaCommand: {
    offset: 0x98,
    bytes: 8,
    access: 'rw',
    reset: 0,
    sizes: WIDE,
    means: 'bit 0: start, clear when finished; bit 1: from RAM to the buffer (0) or back (1); bit 2: raise interrupt 0x100 when finished',
  },
} as const satisfies BarRegisterTable;

export const EDU_STATUS = { computing: 0x01, raise: 0x80 } as const;
export const EDU_DMA = { run: 1, toRam: 2, raise: 4 } as const;
export const EDU_INTERRUPT = { factorial: 0x01, dma: 0x100 } as const;

/** The buffer is in the device's own address space, and not in its BAR: only its DMA engine reaches it. */
export const EDU_BUFFER = { start: 0x40000, bytes: 4096 } as const;
