/** BAR0 of `dma-probe`: 32-bit registers, little-endian, accessed whole or by naturally aligned part. */
export interface ProbeRegister {
  readonly offset: number;
  readonly access: 'ro' | 'rw';
  readonly reset: number;
  readonly means: string;
}

export const PROBE_REGISTERS = {
  ident: { offset: 0x00, access: 'ro', reset: 0x4252_5044, means: '"DPRB": this is a dma-probe' },
  version: { offset: 0x04, access: 'ro', reset: 1, means: 'layout version of these registers' },
  scratch: { offset: 0x08, access: 'rw', reset: 0, means: 'keeps what is written until a reset' },
  started: { offset: 0x0c, access: 'ro', reset: 0, means: 'DMA operations started since the last reset, modulo 2^32' },
  ended: { offset: 0x10, access: 'ro', reset: 0, means: 'DMA operations ended since the last reset, modulo 2^32' },
} as const satisfies Record<string, ProbeRegister>;
