import { describe, expect, it } from 'vitest';
import { topologyFromValue } from '../../../../server/src/app/topology/index.ts';
import { ConfigSpace } from '../../../../server/src/core/pci/index.ts';

const read = (fields: object, model = 'remote') =>
  topologyFromValue({ schema: 'iommud.topology/v1', functions: [{ address: '00:04.0', model, ...fields }] }).functions[0]!;
const spaceOf = ({ config, barBytes }: ReturnType<typeof read>): ConfigSpace =>
  new ConfigSpace(config, barBytes === undefined ? {} : { barBytes });

describe('a function that is declared', () => {
  it('is what it says', () => {
    const space = spaceOf(read({ vendor: '0x1af4', device: '0x1041', class: '0x020000', revision: '0x02' }));
    expect([space.vendor, space.device, space.classCode, space.read(8, 1)]).toEqual([0x1af4, 0x1041, 0x02_0000, 2]);
    // Its subsystem goes with it where nothing else is said.
    expect(space.read(0x2c, 4)).toBe(0x1041_1af4);
  });

  it('is otherwise as any remote function', () => {
    const [plain, declared] = [spaceOf(read({})), spaceOf(read({ device: '0x0001' }))];
    expect(declared.bars()).toEqual(plain.bars());
    expect(declared.capabilities.map(({ id }) => id)).toEqual(plain.capabilities.map(({ id }) => id));
  });

  it('has the BARs that it lists and no others, each decoded in its own space', () => {
    const space = spaceOf(
      read({
        bars: [
          { bar: 0, size: '1MiB', kind: 'memory64', prefetchable: true },
          { bar: 2, size: '64KiB' },
          { bar: 3, size: '32', kind: 'io' },
        ],
      }),
    );
    expect(space.bars().map(({ index, kind, sizeLg2, prefetchable }) => [index, kind, sizeLg2, prefetchable])).toEqual([
      [0, 'memory64', 20, true],
      [2, 'memory32', 16, false],
      [3, 'io', 5, false],
    ]);
    expect(space.msix?.vectors).toBe(32);
    const [first, second] = space.bars();
    expect(Number(space.barAddress(first!)) % (1 << 20)).toBe(0);
    expect(Number(space.barAddress(first!))).toBeGreaterThan(0);
    expect(space.barAddress(second!)).not.toBe(space.barAddress(first!));
  });

  it('has no MSI-X without room for it, and is refused where it asks for it', () => {
    const bars = [{ bar: 0, size: '1MiB' }];
    expect(spaceOf(read({ bars })).msix).toBeUndefined();
    expect(spaceOf(read({ bars: [] })).bars()).toEqual([]);
    expect(() => read({ bars, capabilities: { msix: true } })).toThrow(
      'MSI-X capability has its table in 64 KiB of BAR 2, and the function has no such BAR',
    );
  });

  it.each([
    [
      'BARs that are one',
      {
        bars: [
          { bar: 1, size: '4KiB' },
          { bar: 1, size: '8KiB' },
        ],
      },
      'BAR 1 is there twice',
    ],
    [
      'BARs that overlap, both by name',
      {
        bars: [
          { bar: 1, size: '4KiB' },
          { bar: 0, size: '4KiB', kind: 'memory64' },
        ],
      },
      'BAR 1 is the upper half of BAR 0, which is 64 bits wide: the two overlap',
    ],
    ['a wide BAR with no place', { bars: [{ bar: 5, size: '4KiB', kind: 'memory64' }] }, 'BAR 5 is 32 bits wide'],
    ['a size that is no power of two', { bars: [{ bar: 0, size: '3KiB' }] }, 'no size of a BAR'],
    ['a size that is too small', { bars: [{ bar: 0, size: '8' }] }, 'at least 16 bytes'],
    ['a size that is none', { bars: [{ bar: 0, size: 'big' }] }, 'is not a size'],
    [
      'an unknown key, with the one that was meant',
      { bars: [{ bar: 0, size: '4KiB', prefetchabel: true }] },
      'did you mean "prefetchable"',
    ],
    ['capabilities that overlap, both by name', { capabilities: { msi: { at: '0x60' }, vpd: { at: '0x64' } } }, 'overlaps'],
    ['a class that is too wide', { class: '0x1000000' }, 'class'],
    ['what bytes say already', { config: '00 '.repeat(64), vendor: '0x1234' }, 'vendor is in the bytes of config'],
  ])('is refused with %s', (_, fields, message) => {
    expect(() => read(fields)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }));
  });

  it('is a remote function only', () => {
    expect(() => read({ vendor: '0x1234' }, 'dma-probe')).toThrow('vendor means nothing for dma-probe');
  });
});
