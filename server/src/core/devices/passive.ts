import type { FunctionModel } from './model.ts';
import type { PageRequester } from './page-requester.ts';

/**
 * A function with configuration space only: `replay` (a dump's bytes), `bridge`, and the seat that a `remote` function's peer
 * fills. Its BARs answer all ones here; a remote function's accesses go to its peer instead.
 * `pageRequester`: where its peer may make page requests.
 */
export function passiveFunction(name: string, pageRequester?: PageRequester): FunctionModel {
  return {
    name,
    atc: undefined,
    pageRequester,
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
