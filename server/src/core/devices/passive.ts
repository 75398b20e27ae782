import type { FunctionModel } from './model.ts';

/**
 * A function with configuration space only: `replay` (a dump's bytes), `bridge`, and the seat that a `remote` function's peer
 * fills. Its BARs answer all ones here; a remote function's accesses go to its peer instead.
 * `parts`: what a peer may use of it.
 */
export function passiveFunction(name: string, parts: Partial<Pick<FunctionModel, 'atc' | 'pageRequester'>> = {}): FunctionModel {
  return {
    name,
    atc: parts.atc,
    pageRequester: parts.pageRequester,
    initiatesDma: false,
    barRead: (_bar, _offset, bytes) => (bytes >= 4 ? 0xffff_ffff : (1 << (8 * bytes)) - 1),
    barReadHigh: () => 0xffff_ffff,
    barWrite: () => undefined,
    operationStarted: () => undefined,
    operationEnded: () => undefined,
    dmaEnded: () => undefined,
    alarmRang: () => undefined,
    reset: () => undefined,
    save: () => ({}),
    load: () => undefined,
  };
}
