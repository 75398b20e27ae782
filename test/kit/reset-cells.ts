/** The cells of the table of resets: every way to reset a function, with a reset window and without one, in every state that it may be in. */
import type { ResetMethod } from '../../client/src/index.ts';

export const METHODS = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus', 'cxl_bus'] as const satisfies readonly ResetMethod[];
/** Everything below a port at once. */
const OF_A_PORT = ['bus of a port', 'slot of a port', 'recovery'] as const;
/** What nobody is asked about. */
export const UNASKED = ['FLR bit', 'D3hot and D0', 'bus reset bit', 'power off'] as const;
export const WAYS = [...METHODS, ...OF_A_PORT, ...UNASKED] as const;
export type Way = (typeof WAYS)[number];

export const STATES = ['idle', 'DMA in flight', 'ATS in flight', 'invalidation in flight', 'never ready', 'off the bus'] as const;
export type State = (typeof STATES)[number];

const BEHAVIOURS = ['strict', 'linux-7.1'] as const;

export interface Cell {
  readonly way: Way;
  readonly window: boolean;
  readonly state: State;
  readonly behaviour: (typeof BEHAVIOURS)[number];
}

/** Those that there are: what nobody can ask for is no cell. */
export function cells(): readonly Cell[] {
  return WAYS.flatMap((way) =>
    [true, false].flatMap((window) =>
      STATES.flatMap((state) =>
        BEHAVIOURS.filter((behaviour) => isThere(way, window, behaviour)).map((behaviour) => ({ way, window, state, behaviour })),
      ),
    ),
  );
}

/** Linux has no window round what is of a port, `strict` always has. */
function isThere(way: Way, window: boolean, behaviour: Cell['behaviour']): boolean {
  if (isOneOf(METHODS, way)) return true;
  return isOneOf(OF_A_PORT, way) ? window === (behaviour === 'strict') : !window;
}

export function isOneOf<T extends string>(words: readonly T[], word: string): word is T {
  return words.some((one) => one === word);
}

export function nameOf({ way, window, state, behaviour }: Cell): string {
  return `${way} ${window ? 'with' : 'without'} a window, ${state}, ${behaviour}`;
}

export const PORT = '00:01.0';
export const FUNCTION = '01:00.0';

/** A port with a slot and one function below it that has every method; `cxl_bus` is of a CXL port, which masks `bus`. */
export function topologyOf(way: Way): object {
  const cxl = way === 'cxl_bus' ? { dvsec: { vendor: '0x1e98', id: 3, revision: 0, bytes: Array(30).fill('00').join(' ') } } : {};
  return {
    schema: 'iommud.topology/v1',
    iommu: { invalidationTimeout: '1s' },
    functions: [
      {
        address: PORT,
        model: 'root-port',
        capabilities: { slot: { number: 1 }, ...cxl },
        children: [
          {
            address: '00.0',
            model: 'dma-probe',
            reset: { deviceSpecific: 'plain', acpi: 'works' },
            capabilities: { af: true, pm: { noSoftReset: false } },
          },
        ],
      },
    ],
  };
}
