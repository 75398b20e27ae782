import type { FunctionModel } from './model.ts';

/**
 * A function with configuration space only: `replay` (a dump's bytes), `bridge`, and the seat that a `remote` function's peer
 * fills. Its BARs answer all ones here; a remote function's accesses go to its peer instead.
 */
export function passiveFunction(name: string): FunctionModel {
  return {
    name,
    atc: undefined,
    initiatesDma: false,
    barRead: (_bar, _offset, bytes) => (bytes >= 4 ? 0xffff_ffff : (1 << (8 * bytes)) - 1),
    barWrite: () => undefined,
    operationStarted: () => undefined,
    operationEnded: () => undefined,
    reset: () => undefined,
  };
}
