/** AER against a naive telling of the flowchart in PCIe Base r6.0 §6.2.5, written from it alone: registers are named bits here. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigSpace, bridgeConfig, dmaProbeConfig, logError, receiveMessage, type BusError } from '../../server/src/core/pci/index.ts';

const BITS: Readonly<Record<BusError, number>> = {
  'surprise-down': 5,
  poisoned: 12,
  'completion-timeout': 14,
  'completer-abort': 15,
  'unexpected-completion': 16,
  malformed: 18,
  'unsupported-request': 20,
  'acs-violation': 21,
};
const ALL = (1 << 5) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 18) | (1 << 20) | (1 << 21);

interface Model {
  devices: Set<string>;
  uncorrectable: Set<number>;
  correctable: Set<number>;
  first: number | undefined;
  header: readonly number[];
  signaledSystemError: boolean;
}
interface Setting {
  readonly mask: number;
  readonly severity: number;
  readonly advisoryMasked: boolean;
  readonly serr: boolean;
  readonly cor: boolean;
  readonly nonfatal: boolean;
  readonly fatal: boolean;
  readonly unsupported: boolean;
}

/** One walk through the flowchart; the message that is sent, or none. */
function flowchart(model: Model, set: Setting, error: BusError, advisory: boolean, header: readonly number[]): string | undefined {
  const bit = BITS[error];
  const isFatal = ((set.severity >> bit) & 1) === 1;
  const isMasked = ((set.mask >> bit) & 1) === 1;
  if (error === 'unsupported-request') model.devices.add('unsupported request detected');
  const log = (): void => {
    if (!isMasked && (model.first === undefined || !model.uncorrectable.has(model.first))) {
      model.first = bit;
      model.header = header;
    }
    model.uncorrectable.add(bit);
  };
  if (!isFatal && advisory) {
    model.devices.add('correctable detected');
    model.correctable.add(13);
    if (set.advisoryMasked) return undefined;
    log();
    if (error === 'unsupported-request' && !set.unsupported) return undefined;
    return set.cor ? 'correctable' : undefined;
  }
  model.devices.add(isFatal ? 'fatal detected' : 'non-fatal detected');
  log();
  if (isMasked) return undefined;
  if (error === 'unsupported-request' && !set.unsupported && !set.serr) return undefined;
  if (set.serr) model.signaledSystemError = true;
  if (!set.serr && !(isFatal ? set.fatal : set.nonfatal)) return undefined;
  return isFatal ? 'fatal' : 'nonfatal';
}

function places(config: ConfigSpace): { readonly express: number; readonly aer: number } {
  const find = (id: number, extended: boolean) =>
    config.capabilities.find((one) => one.id === id && one.extended === extended)?.offset ?? 0;
  return { express: find(0x10, false), aer: find(1, true) };
}

const setting = fc.record({
  mask: fc.integer().map((bits) => bits & ALL),
  severity: fc.integer().map((bits) => bits & ALL),
  advisoryMasked: fc.boolean(),
  serr: fc.boolean(),
  cor: fc.boolean(),
  nonfatal: fc.boolean(),
  fatal: fc.boolean(),
  unsupported: fc.boolean(),
});
const happening = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      error: fc.constantFrom(...(Object.keys(BITS) as BusError[])),
      advisory: fc.boolean(),
      header: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
    }),
  },
  // Software clears what it has seen: all of it, or one bit.
  { weight: 1, arbitrary: fc.record({ clear: fc.constantFrom(-1, ...Object.values(BITS).map((bit) => 1 << bit)) }) },
);

describe('error registers', () => {
  it('are after any errors what the flowchart makes of them, and so are the messages', () => {
    fc.assert(
      fc.property(setting, fc.array(happening, { maxLength: 12 }), (set, history) => {
        const config = new ConfigSpace(dmaProbeConfig({ integrated: false }));
        const { express, aer } = places(config);
        config.write(4, 2, 0x6 | (set.serr ? 0x100 : 0));
        const enables = (set.cor ? 1 : 0) | (set.nonfatal ? 2 : 0) | (set.fatal ? 4 : 0) | (set.unsupported ? 8 : 0);
        config.write(express + 8, 2, enables);
        config.write(aer + 8, 4, set.mask);
        config.write(aer + 0xc, 4, set.severity);
        config.write(aer + 0x14, 4, set.advisoryMasked ? 0x2000 : 0);
        const model: Model = {
          devices: new Set(),
          uncorrectable: new Set(),
          correctable: new Set(),
          first: undefined,
          header: [0, 0, 0, 0],
          signaledSystemError: false,
        };
        for (const one of history) {
          if ('clear' in one) {
            config.write(aer + 4, 4, one.clear);
            for (const bit of Object.values(BITS)) if (((one.clear >> bit) & 1) === 1) model.uncorrectable.delete(bit);
            continue;
          }
          const logged = logError(config, one.error, one.advisory, one.header);
          expect(logged?.message).toBe(flowchart(model, set, one.error, one.advisory, one.header));
        }
        const status = (names: readonly string[]) => names.reduce((bits, name, i) => bits | (model.devices.has(name) ? 1 << i : 0), 0);
        expect(config.read(express + 0xa, 2) & 0xf).toBe(
          status(['correctable detected', 'non-fatal detected', 'fatal detected', 'unsupported request detected']),
        );
        const sum = (bits: Iterable<number>) => [...bits].reduce((word, bit) => word | (1 << bit), 0) >>> 0;
        expect(config.read(aer + 4, 4) >>> 0).toBe(sum(model.uncorrectable));
        expect(config.read(aer + 0x10, 4) >>> 0).toBe(sum(model.correctable));
        if (model.first !== undefined) expect(config.read(aer + 0x18, 4) & 0x1f).toBe(model.first);
        expect([0, 1, 2, 3].map((i) => config.read(aer + 0x1c + 4 * i, 4) >>> 0)).toEqual(model.header);
        expect((config.read(6, 2) & 0x4000) !== 0).toBe(model.signaledSystemError);
      }),
    );
  });

  it('of the root port tell the first of each kind, that more came, and interrupt when a bit comes that is asked for', () => {
    const message = fc.record({
      message: fc.constantFrom('correctable' as const, 'nonfatal' as const, 'fatal' as const),
      source: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(fc.nat(7), fc.array(message, { maxLength: 8 }), (asked, messages) => {
        const config = new ConfigSpace(bridgeConfig({ kind: 'root-port', primary: 0, secondary: 1, subordinate: 1 }));
        const { aer } = places(config);
        config.write(aer + 0x2c, 4, asked);
        const seen: (typeof messages)[number][] = [];
        for (const one of messages) {
          const wants = (what: string) => ((asked >> ['correctable', 'nonfatal', 'fatal'].indexOf(what)) & 1) === 1;
          const waits = seen.some((earlier) => wants(earlier.message));
          expect(receiveMessage(config, one.message, one.source).interrupt).toBe(wants(one.message) && !waits);
          seen.push(one);
        }
        const soft = seen.filter((one) => one.message === 'correctable');
        const hard = seen.filter((one) => one.message !== 'correctable');
        const bits = [
          soft.length > 0,
          soft.length > 1,
          hard.length > 0,
          hard.length > 1,
          hard[0]?.message === 'fatal',
          hard.some((one) => one.message === 'nonfatal'),
          hard.some((one) => one.message === 'fatal'),
        ];
        expect(config.read(aer + 0x30, 4) & 0x7f).toBe(bits.reduce((word, on, i) => word | (on ? 1 << i : 0), 0));
        expect(config.read(aer + 0x34, 2)).toBe(soft[0]?.source ?? 0);
        expect(config.read(aer + 0x36, 2)).toBe(hard[0]?.source ?? 0);
      }),
    );
  });
});
