import { describe, expect, it } from 'vitest';
import { parseTopology, topologyFromValue } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';
import { ConfigSpace } from '../../../../server/src/core/pci/index.ts';

const MIB = 1 << 20;
/** Of an image without capabilities whose BAR 0 has this address: memory decoding on. */
const withBar = (address: number, type = 0): string => {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x1af4, true);
  view.setUint16(4, 2, true);
  bytes[0xe] = type;
  view.setUint32(0x10, address, true);
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
};
const document = (...functions: readonly object[]): object => ({ schema: 'iommud.topology/v1', functions });
const probe = (address: string, rest: object = {}): object => ({ address, model: 'dma-probe', ...rest });
const port = (address: string, rest: object): object => ({ address, model: 'root-port', ...rest });
const window = (address: number, mebibytes: number): object => ({ address: `0x${address.toString(16)}`, size: `${mebibytes}MiB` });

function spaces(value: object): Map<string, ConfigSpace> {
  return new Map(
    topologyFromValue(value).functions.map((fn) => [formatBdf(fn.bdf), new ConfigSpace(fn.config, { barBytes: fn.barBytes ?? [] })]),
  );
}
function barsOf(space: ConfigSpace | undefined): bigint[] {
  return space?.bars().map((bar) => space.barAddress(bar)) ?? [];
}
const windowOf = (space: ConfigSpace | undefined): number[] => {
  const [base, limit] = [space?.read(0x20, 2) ?? 0, space?.read(0x22, 2) ?? 0];
  return [base * 0x1_0000, limit * 0x1_0000 + MIB];
};

describe('addresses of BARs', () => {
  it('begin where the window for them does, and ports get what is below them', () => {
    const at = spaces(document(probe('00:02.0'), port('00:03.0', { children: [probe('00.0')] })));
    expect(barsOf(at.get('00:02.0'))).toEqual([0xe001_0000n, 0xe000_0000n]);
    expect(windowOf(at.get('00:03.0'))).toEqual([0xe010_0000, 0xe020_0000]);
    expect(barsOf(at.get('01:00.0'))).toEqual([0xe011_0000n, 0xe010_0000n]);
  });

  it('go around what functions bring with them', () => {
    const at = spaces(
      document(
        { address: '00:01.0', model: 'replay', config: withBar(0xe000_8000) },
        probe('00:02.0'),
        port('00:03.0', { children: [probe('00.0')] }),
      ),
    );
    expect(barsOf(at.get('00:02.0'))).toEqual([0xe002_0000n, 0xe001_0000n]);
    const behind = spaces(
      document({ address: '00:01.0', model: 'replay', config: withBar(0xe008_0000) }, port('00:03.0', { children: [probe('00.0')] })),
    );
    expect(windowOf(behind.get('00:03.0'))).toEqual([0xe010_0000, 0xe020_0000]);
  });

  it('are in a window that is stated, and others are not', () => {
    const at = spaces(
      document(
        probe('00:02.0'),
        port('00:03.0', { window: window(0xe000_0000, 2), children: [probe('00.0')] }),
        port('00:04.0', { window: window(0xf000_0000, 1), bus: '05', children: [] }),
      ),
    );
    expect(barsOf(at.get('01:00.0'))).toEqual([0xe001_0000n, 0xe000_0000n]);
    expect(barsOf(at.get('00:02.0'))).toEqual([0xe021_0000n, 0xe020_0000n]);
    expect([windowOf(at.get('00:03.0')), windowOf(at.get('00:04.0'))]).toEqual([
      [0xe000_0000, 0xe020_0000],
      [0xf000_0000, 0xf010_0000],
    ]);
  });
});

describe('windows are refused', () => {
  const downstream = (address: string) => ({ address, model: 'downstream-port', children: [probe('00.0')] });
  const aSwitch = { address: '00.0', model: 'upstream-port', children: [downstream('00.0'), downstream('01.0')] };
  const below = (rest: object): object =>
    port('00:01.0', { window: window(0xe000_0000, 4), children: [{ address: '00.0', model: 'upstream-port', ...rest }] });

  it.each([
    [
      'that do not nest, both by name',
      document(below({ window: window(0xe030_0000, 2) })),
      'functions[0].children[0].window: the window 0xe0300000 to 0xe04fffff of 01:00.0 is not in 0xe0000000 to 0xe03fffff, that of 00:01.0 above it',
    ],
    [
      'that overlap, both by name',
      document(port('00:01.0', { window: window(0xe000_0000, 4) }), port('00:02.0', { window: window(0xe030_0000, 2) })),
      'the window 0xe0300000 to 0xe04fffff of 00:02.0 overlaps 0xe0000000 to 0xe03fffff of 00:01.0',
    ],
    [
      'below a port that states none',
      document(port('00:01.0', { children: [{ address: '00.0', model: 'upstream-port', window: window(0xe000_0000, 1) }] })),
      '01:00.0 states a window and 00:01.0 above it does not',
    ],
    [
      'that are not where BARs are',
      document(port('00:01.0', { window: window(0x4000_0000, 1) })),
      'a window is in 0xe0000000 to 0xfebfffff',
    ],
    ['that are no multiples', document(port('00:01.0', { window: { address: '0xe0080000', size: '1MiB' } })), 'a multiple of 1 MiB'],
    [
      'too small for what is below',
      document(port('00:01.0', { window: window(0xe000_0000, 1), children: [aSwitch] })),
      'with its BARs, BARs need more than the window 0xe0000000 to 0xe00fffff',
    ],
    [
      'of functions that are no ports',
      document(probe('00:02.0', { window: window(0xe000_0000, 1) })),
      'window means nothing for dma-probe',
    ],
    ['with a key that no window has', document(port('00:01.0', { window: { base: '0xe0000000', size: '1MiB' } })), 'unknown key "base"'],
  ])('%s', (_, value, message) => {
    expect(() => topologyFromValue(value)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }));
  });

  it('at an address that YAML reads as a number', () => {
    const text =
      'schema: iommud.topology/v1\nfunctions:\n  - address: "00:01.0"\n    model: root-port\n    window: { address: 0xe0000000, size: 1MiB }\n';
    expect(() => parseTopology(text)).toThrow('line 5: address is the number 3758096384; write "0xe0000000"');
  });
});
