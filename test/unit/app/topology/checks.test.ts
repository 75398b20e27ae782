import { describe, expect, it } from 'vitest';
import { fromLspci, topologyFromValue } from '../../../../server/src/app/topology/index.ts';

type Bytes = Readonly<Record<number, readonly number[]>>;

/** A header with some bytes set; memory and I/O decoding on, unless they say otherwise. */
function config(bytes: Bytes): string {
  const image = new Uint8Array(64);
  image.set([0xf4, 0x1a, 0x00, 0x10, 3]);
  for (const [at, values] of Object.entries(bytes)) image.set(values, Number(at));
  return [...image].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
const bridge = (primary: number, secondary: number, subordinate: number, rest: Bytes = {}): Bytes => ({
  0xe: [1],
  0x18: [primary, secondary, subordinate],
  // Closed.
  0x1c: [0xf0, 0],
  0x20: [0xf0, 0xff, 0, 0],
  ...rest,
});
/** A memory window in MiB granules, by the upper bytes of base and limit. */
const opened = (base: number, limit: number): Bytes => ({ 0x20: [0, base, 0xf0, limit] });

const replay = (address: string, bytes: Bytes): object => ({ address, model: 'replay', config: config(bytes) });
const probe = (address: string): object => ({ address, model: 'dma-probe' });

function refusalOf(...functions: readonly object[]): string {
  try {
    topologyFromValue({ schema: 'iommud.topology/v1', functions });
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  return 'not refused';
}

function dump(functions: Readonly<Record<string, Bytes>>): string {
  return Object.entries(functions)
    .map(([at, bytes]) => {
      const lines = config(bytes).match(/(?:.. ?){16}/g) ?? [];
      return `${at} Class: x\n${lines.map((line, i) => `${(i * 16).toString(16).padStart(2, '0')}: ${line.trim()}`).join('\n')}\n`;
    })
    .join('\n');
}

const CASES: readonly (readonly [string, Readonly<Record<string, Bytes>>, string])[] = [
  [
    'two bridges with one bus',
    { '00:01.0': bridge(0, 1, 3), '00:02.0': bridge(0, 3, 4) },
    '00:01.0 (buses 01 to 03) and 00:02.0 (buses 03 to 04) both have bus 03',
  ],
  [
    'bridges that contain each other',
    { '05:00.0': bridge(5, 1, 9), '01:00.0': bridge(1, 5, 9) },
    '05:00.0 (buses 01 to 09) is itself on bus 05, and 01:00.0 (buses 05 to 09) contains it in turn',
  ],
  [
    'a bridge beyond the one above it',
    { '00:01.0': bridge(0, 1, 2), '01:00.0': bridge(1, 2, 7) },
    '01:00.0 (buses 02 to 07) is not in 00:01.0 (buses 01 to 02) above it',
  ],
  ['buses that end before they begin', { '00:01.0': bridge(0, 3, 1) }, '00:01.0 (buses 03 to 01): the last is below the first'],
  [
    'windows that do not nest',
    { '00:01.0': bridge(0, 1, 2, opened(0xc0, 0xc1)), '01:00.0': bridge(1, 2, 2, opened(0xc1, 0xc2)) },
    '01:00.0 window (0xc1000000 to 0xc2ffffff) is not in that of 00:01.0 window (0xc0000000 to 0xc1ffffff) above it',
  ],
  [
    'a window below a bridge with none',
    { '00:01.0': bridge(0, 1, 2), '01:00.0': bridge(1, 2, 2, opened(0xc1, 0xc2)) },
    '01:00.0 window (0xc1000000 to 0xc2ffffff) is not in that of 00:01.0, which has no open memory window above it',
  ],
  [
    'windows that overlap',
    { '00:01.0': bridge(0, 1, 1, opened(0xc0, 0xc1)), '00:02.0': bridge(0, 2, 2, opened(0xc1, 0xc2)) },
    '00:01.0 window (0xc0000000 to 0xc1ffffff) and 00:02.0 window (0xc1000000 to 0xc2ffffff) both decode 0xc1000000 to 0xc1ffffff',
  ],
  [
    'BARs that overlap',
    { '00:01.0': { 0x10: [0, 0, 0x10, 0xc0] }, '00:02.0': { 0x14: [0, 0, 0x10, 0xc0] } },
    '00:01.0 BAR 0 (0xc0100000 to 0xc01fffff) and 00:02.0 BAR 1 (0xc0100000 to 0xc01fffff) both decode 0xc0100000 to 0xc01fffff',
  ],
  [
    'I/O BARs that overlap',
    { '00:01.0': { 0x10: [1, 0x10, 0, 0] }, '00:02.0': { 0x10: [1, 0x10, 0, 0] } },
    '00:01.0 BAR 0 (0x1000 to 0x1fff) and 00:02.0 BAR 0 (0x1000 to 0x1fff) both decode 0x1000 to 0x1fff',
  ],
];

describe('what clashes', () => {
  it.each(CASES)('%s: a document is refused, both by name', (_, functions, message) => {
    expect(refusalOf(...Object.entries(functions).map(([at, bytes]) => replay(at, bytes)))).toContain(`functions: ${message}`);
  });

  it.each(CASES)('%s: a dump is of a real machine, and warned of', (_, functions, message) => {
    expect(fromLspci(dump(functions)).warnings).toEqual([expect.stringContaining(message)]);
  });

  it('is a BAR in RAM', () => {
    expect(refusalOf(replay('00:01.0', { 0x10: [0, 0, 0x10, 0x40] }))).toContain(
      '00:01.0 BAR 0 (0x40100000 to 0x401fffff) overlaps memory 0x40000000 to 0x7fffffff',
    );
  });

  it('is not what does not decode, or has no address', () => {
    const bar = { 0x10: [0, 0, 0x10, 0xc0] };
    expect(refusalOf(replay('00:01.0', bar), replay('00:02.0', { ...bar, 4: [1, 0] }))).toBe('not refused');
    expect(refusalOf(replay('00:01.0', { 0x10: [1, 0, 0, 0] }), replay('00:02.0', { 0x10: [1, 0, 0, 0] }), probe('00:03.0'))).toBe(
      'not refused',
    );
  });
});

describe('a BAR of which a dump does not tell the size', () => {
  it('ends where something else begins', () => {
    const { functions, warnings } = fromLspci(
      dump({
        '00:01.0': { 0x10: [0, 0, 0, 0xc0], 0x14: [1, 0x10, 0, 0] },
        '00:02.0': { 0x10: [0, 0, 0x10, 0xc0], 0x14: [0x41, 0x10, 0, 0] },
      }),
    );
    expect(warnings).toEqual([]);
    expect(functions[0]?.barBytes?.slice(0, 2)).toEqual([0x10_0000n, 0x40n]);
  });
});
