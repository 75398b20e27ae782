import { describe, expect, it } from 'vitest';
import { parseTopology } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';
import { ConfigSpace } from '../../../../server/src/core/pci/index.ts';

const HEAD = 'schema: iommud.topology/v1\nfunctions:\n';

/** The configuration space of the last function of a document; `functions` begins on line 3. */
function built(functions: string): ConfigSpace {
  const fn = parseTopology(HEAD + functions, 'yaml').functions.at(-1)!;
  return new ConfigSpace(fn.config, { barBytes: fn.barBytes ?? [] });
}

const probe = (capabilities: string, more = ''): ConfigSpace =>
  built(`  - { address: "00:02.0", model: dma-probe${more}, capabilities: ${capabilities} }\n`);

function refused(functions: string): string {
  try {
    parseTopology(HEAD + functions, 'yaml');
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  throw new Error(`was not refused: ${functions}`);
}

function at(space: ConfigSpace, id: number, extended = false): number {
  const found = space.capabilities.find((c) => c.id === id && c.extended === extended);
  if (found === undefined) throw new Error(`there is no capability ${id}`);
  return found.offset;
}

function ids(space: ConfigSpace): readonly (readonly number[])[] {
  const of = (extended: boolean): number[] => space.capabilities.filter((c) => c.extended === extended).map((c) => c.id);
  return [of(false).sort((a, b) => a - b), of(true).sort((a, b) => a - b)];
}

describe('capabilities of a document', () => {
  it('leave what the model has as it is when there are none', () => {
    const plain = built('  - { address: "00:02.0", model: dma-probe }\n');
    expect(probe('{}').image()).toEqual(plain.image());
  });

  it('are true for defaults, false for none, and an object for more', () => {
    const space = probe(
      '{ msi: true, pm: false, aer: false, ats: { queueDepth: 3 }, pri: false, pasid: { width: "0x10", execute: false }, ltr: true }',
    );
    expect(ids(space)).toEqual([
      [0x05, 0x10, 0x11],
      [0x0f, 0x18, 0x1b],
    ]);
    expect(space.read(at(space, 0x05) + 2, 2)).toBe(0x80);
    expect([space.atsQueueDepth, space.pasidWidth, space.read(at(space, 0x1b, true) + 4, 2)]).toEqual([3, 16, 0x1004]);
  });

  it('are where they are put, in decimal or in hex', () => {
    const space = probe(
      '{ pm: { at: 0x80 }, msi: { at: "0x60", vectors: 8 }, msix: { at: 64, vectors: 5 }, serialNumber: { value: 00-11-22-33-44-55-66-77, at: 0x400 } }',
    );
    expect([at(space, 0x01), at(space, 0x05), at(space, 0x11), at(space, 0x03, true)]).toEqual([0x80, 0x60, 0x40, 0x400]);
    expect([space.read(0x62, 2), space.read(0x42, 2), space.read(0x404, 4), space.read(0x408, 4)]).toEqual([
      0x86, 4, 0x4455_6677, 0x0011_2233,
    ]);
  });

  it('make reset methods and take them away', () => {
    expect(probe('{ pm: { noSoftReset: false }, af: true }').resetMethods()).toEqual(['flr', 'af_flr', 'pm']);
    expect(probe('{ flr: false }').resetMethods()).toEqual([]);
    expect(probe('{ express: false, af: true }').resetMethods()).toEqual(['af_flr']);
  });

  it('are a conventional function with what it can have', () => {
    const space = probe(
      '{ express: false, pcix: true, vpd: true, ssvid: { vendor: "0x1af4", device: "0x1100" }, vendorSpecific: [{ bytes: "aa bb" }, { bytes: "" }] }',
    );
    expect(space.bytes).toBe(256);
    expect(ids(space)).toEqual([[0x01, 0x03, 0x07, 0x09, 0x09, 0x11], []]);
    expect(space.read(0x2c, 4)).toBe(0x1100_1af4);
  });

  it('are those of a conventional function on a conventional bus, without its saying so', () => {
    const space = built(
      '  - { address: "00:01.0", model: pci-bridge, children: [{ address: "00.0", model: dma-probe, capabilities: { ats: false, pcix: true } }] }\n',
    );
    expect([space.bytes, ids(space)]).toEqual([256, [[0x01, 0x07, 0x11, 0x13], []]]);
  });

  it('are fixed addresses', () => {
    const space = probe('{ ea: { entries: [{ bar: 1, address: "0xd0000000", size: 64KiB }, { kind: io, address: "0x100", size: "4" }] } }');
    const ea = at(space, 0x14);
    expect([4, 8, 12, 16].map((offset) => space.read(ea + offset, 4))).toEqual([0x80ff_0012, 0xd000_0000, 0xfffc, 0x80ff_0272]);
  });

  it('are latencies in the unit of their register', () => {
    const space = probe('{ ltr: { maxSnoop: 1023ns, maxNoSnoop: 3145728ns } }');
    expect(space.read(at(space, 0x18, true) + 4, 4)).toBe(0x0c60_03ff);
  });

  it('are vendor-specific ones, one or several', () => {
    const space = probe('{ dvsec: { vendor: "0x1e98", id: 8, revision: 1, bytes: "01 02" }, vsec: [{ id: 1 }, { id: 2, bytes: "ff" }] }');
    expect(ids(space)[1]?.filter((id) => id === 0x23 || id === 0x0b)).toEqual([0x0b, 0x0b, 0x23]);
    expect(space.read(at(space, 0x23, true) + 8, 4)).toBe(0x0201_0008);
  });

  it('are a Resizable BAR with an address of its own', () => {
    const space = probe('{ resizableBar: { sizes: [1MiB, 4MiB], size: 4MiB } }');
    const bar = space.bars().find(({ index }) => index === 4)!;
    expect([bar.kind, bar.prefetchable, bar.sizeLg2]).toEqual(['memory64', true, 22]);
    expect(space.barAddress(bar) % (1n << 22n)).toBe(0n);
    const others = space.bars().filter((other) => other !== bar);
    for (const other of others) {
      const begin = space.barAddress(other);
      expect(begin + (1n << BigInt(other.sizeLg2)) <= space.barAddress(bar) || begin >= space.barAddress(bar) + (1n << 22n)).toBe(true);
    }
  });

  const below = (capabilities: string, port = '', more = ''): string =>
    `  - { address: "00:01.0", model: root-port${port}, children: [${more}{ address: "00.0", model: dma-probe, capabilities: ${capabilities} }] }\n`;

  it('are virtual functions, with ARI below a port', () => {
    const space = built(below('{ sriov: { vfs: 200, bars: [{ bar: 0, size: 16KiB, wide: true }], pageSizes: [64KiB] } }'));
    const sriov = at(space, 0x10, true);
    expect([space.read(sriov + 0xe, 2), space.read(sriov + 0x14, 2), space.read(sriov + 0x16, 2), space.read(sriov + 0x1a, 2)]).toEqual([
      200, 1, 1, 0x11d6,
    ]);
    expect(space.read(sriov + 0x1c, 4)).toBe(0x11);
    expect(ids(space)[1]).toContain(0x0e);
    const [bar] = space.vfBars();
    expect([bar?.sizeLg2, bar && space.barAddress(bar) > 0xe000_0000n]).toEqual([14, true]);
  });

  it('are told the next function of their device by ARI', () => {
    const functions = ['0', '3', '5'].map((fn) => `{ address: "00.${fn}", model: dma-probe, capabilities: { ari: true } }`).join(', ');
    const spec = parseTopology(`${HEAD}  - { address: "00:01.0", model: root-port, children: [${functions}] }\n`, 'yaml');
    const next = spec.functions.slice(1).map(({ bdf, config }) => {
      const space = new ConfigSpace(config);
      return [formatBdf(bdf), space.read(at(space, 0x0e, true) + 5, 1)];
    });
    expect(next).toEqual([
      ['01:00.0', 3],
      ['01:00.3', 5],
      ['01:00.5', 0],
    ]);
  });

  it('are those of a port', () => {
    const spec = parseTopology(
      `${HEAD}  - { address: "00:01.0", model: root-port, capabilities: { slot: { number: 9, mrlSensor: true }, dpc: true, rrsVisibility: true, msi: true, ssvid: { vendor: 1, device: 2 }, ltr: true } }\n`,
      'yaml',
    );
    const space = new ConfigSpace(spec.functions[0]!.config);
    expect(ids(space)).toEqual([
      [0x01, 0x05, 0x0d, 0x10],
      [0x01, 0x0d, 0x1d],
    ]);
    expect(space.read(at(space, 0x10) + 0x14, 4) >>> 19).toBe(9);
    expect(space.read(at(space, 0x10) + 0x14, 4) & 0x7f).toBe(0x7f);
    expect(space.read(at(space, 0x1d, true) + 4, 2) & 0xf20).toBe(0x620);
  });

  const one = (capabilities: string, more = ''): string =>
    `  - { address: "00:02.0", model: dma-probe${more}, capabilities: ${capabilities} }\n`;
  const conventional = (capabilities: string): string =>
    `  - { address: "00:01.0", model: pci-bridge, children: [\n    { address: "00.0", model: dma-probe, capabilities: ${capabilities} }] }\n`;
  it.each([
    [one('{ msi: { at: 0x50 }, pm: { at: 0x4c } }'), 'line 3: the PM capability at 0x4c to 0x53 overlaps the MSI capability at 0x50'],
    [
      one('{ aer: { at: 0x100 }, ari: { at: 0x128 } }'),
      'line 3: the AER capability at 0x100 to 0x12b overlaps the ARI capability at 0x128',
    ],
    [one('{ pm: { at: 0x42 } }'), 'line 3: the PM capability at 0x42 is misaligned or outside of 0x40 to 0xff'],
    [one('{ msi: { vectors: 5 } }'), 'line 3: vectors of MSI: 5 is none of 1, 2, 4, 8, 16, 32'],
    [one('{ msi: { vectors: "many" } }'), 'line 3: vectors is "many"; write a number such as 8, or hex in quotes: "0x60"'],
    [one('{ mis: true }'), 'line 3: unknown key "mis"; did you mean "msi"?'],
    [one('{ msi: { vector: 5 } }'), 'line 3: unknown key "vector"; did you mean "vectors"?'],
    [one('{ sriov: { vfs: 1, bars: [{ bar: 0, sise: 4KiB }] } }'), 'line 3: unknown key "sise"; did you mean "size"?'],
    [
      one('{ msi: 5 }'),
      'line 3: msi is the number 5; write true or false or an object with vectors, wide, perVectorMask, extendedData or others',
    ],
    [one('{ af: "yes" }'), 'line 3: af is "yes"; write true or false or an object with at'],
    [one('{ flr: 1 }'), 'line 3: flr is the number 1; write true or false'],
    [one('{ express: true }'), 'line 3: express is the boolean true; write false'],
    [one('{ ssvid: { vendor: 1 } }'), 'line 3: "device" is missing'],
    [one('{ slot: true }'), 'line 3: slot means nothing for dma-probe; it is for root-port, downstream-port'],
    [one('{ dpc: true }'), 'line 3: dpc means nothing for dma-probe; it is for root-port, downstream-port'],
    [
      '  - { address: "00:02.0", model: root-port, capabilities: { sriov: { vfs: 1 } } }\n',
      'line 3: sriov means nothing for root-port; it is for dma-probe, remote',
    ],
    ['  - { address: "00:02.0", model: host-bridge, capabilities: {} }\n', 'line 3: capabilities means nothing for host-bridge'],
    [one('{ ats: true }', ', ats: false'), 'line 3: ats is said by the function\'s own "ats" too; leave one of the two out'],
    [one('{ acs: true }', ', acs: true'), 'line 3: acs is said by the function\'s own "acs" too'],
    [one('{ express: false, aer: true }'), 'line 3: aer is an extended capability, and express: false leaves no place for it'],
    [one('{ pcix: true }'), 'line 3: pcix is for a conventional function: add express: false'],
    [one('{ express: false, flr: true }'), 'line 3: flr is of PCI Express; a conventional function has af'],
    [
      conventional('{ ats: { queueDepth: 4 } }'),
      'line 4: ats is an extended capability, and the conventional bus below 00:01.0 leaves no place for it',
    ],
    [conventional('{ aer: true }'), 'line 4: aer is an extended capability, and the conventional bus below 00:01.0 leaves no place for it'],
    [conventional('{ flr: true }'), 'line 4: flr is of PCI Express; a conventional function has af'],
    [one('{ ats: false, pri: true }'), 'line 3: pri asks for translations, and ats: false leaves none to ask for'],
    [one('{ serialNumber: "12" }'), 'line 3: "12" is no serial number; write it as "00-11-22-33-44-55-66-77"'],
    [one('{ ltr: { maxSnoop: soon } }'), 'line 3: "soon" is not a time; write it as "3ms"'],
    [one('{ ltr: { maxSnoop: 60s } }'), 'line 3: "60s" is longer than the register can say'],
    [one('{ vendorSpecific: { bytes: "0" } }'), 'line 3: bytes are pairs of hex digits'],
    [one('{ resizableBar: { sizes: [3MiB] } }'), 'line 3: "3MiB" is no power of two from 2^20 to 2^63 bytes'],
    [one('{ resizableBar: { sizes: [1MiB], size: 2MiB } }'), 'line 3: size is "2MiB"; it is one of sizes: 1MiB'],
    [one('{ resizableBar: { sizes: [1GiB] } }'), 'line 3: with its BARs, BARs need more than the window'],
    [
      one('{ ea: { entries: [{ bar: 0, address: "0x1000", size: 4KiB }] } }'),
      'line 3: an EA entry is for BAR 0, and the function has BAR 0 there',
    ],
    [one('{ sriov: { vfs: 0 } }'), 'line 3: vfs is 0; it is 1 to 65535'],
    [one('{ vpd: { data: "8" } }'), 'line 3: bytes are pairs of hex digits'],
    [one('{ sriov: { vfs: 1, msix: { vectors: 2049 } } }'), 'line 3: vectors is 2049; it is 1 to 2048'],
    [
      one('{ sriov: { vfs: 1, msix: true, bars: [{ bar: 0, size: 64KiB }] } }'),
      'line 3: msix of virtual functions has its table in VF BAR 2, and bars has none',
    ],
    [
      one('{ sriov: { vfs: 1, msix: true, bars: [{ bar: 2, size: 32KiB }] } }'),
      'line 3: msix of virtual functions needs 64 KiB in VF BAR 2, and it has "32KiB"',
    ],
    [one('{ sriov: { vfs: 300 } }'), 'line 3: the 300 virtual functions of 00:02.0 reach 01:07.4, which is beyond root bus 00'],
    [
      below('{ sriov: { vfs: 256 } }'),
      'line 3: the 256 virtual functions of 01:00.0 reach 02:00.0, which is beyond the buses below 00:01.0',
    ],
    [
      one('{ sriov: { vfs: 3, firstOffset: 8, stride: 8 } }') + '  - { address: "00:04.0", model: remote }\n',
      'line 3: virtual function 2 of 00:02.0 would be at 00:04.0, where line 4 has a function',
    ],
    [
      `  - { address: "00:02.0", model: remote, config: "${'00 '.repeat(64)}", capabilities: {} }\n`,
      'line 3: capabilities is in the bytes of config',
    ],
  ])('are refused in %s', (functions, message) => {
    expect(refused(functions)).toContain(message);
  });
});
