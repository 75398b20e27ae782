import { describe, expect, it } from 'vitest';
import { describeTopology, parseTopology } from '../../../../server/src/app/topology/index.ts';

const HEAD = 'schema: iommud.topology/v1\n';
const TAIL = 'functions: [{ address: "00:01.0", model: dma-probe }]\n';
const spec = (...lines: readonly string[]) => parseTopology(`${HEAD}ecam:\n${lines.map((line) => `  - ${line}\n`).join('')}${TAIL}`);
const refused = (...lines: readonly string[]): string => {
  try {
    spec(...lines);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  throw new Error('was not refused');
};

describe('where configuration space is in memory', () => {
  it('is nowhere unless the document says so', () => {
    expect(parseTopology(HEAD + TAIL)).not.toHaveProperty('ecam');
  });

  it('is all buses of segment 0, or what it says', () => {
    const { ecam } = spec('{ address: "0xb0000000" }', '{ address: "0x4000000000", segment: 2, firstBus: 64, lastBus: 127 }');
    expect(ecam).toEqual([
      { segment: 0, base: 0xb000_0000n, firstBus: 0, lastBus: 255 },
      { segment: 2, base: 0x40_0000_0000n, firstBus: 64, lastBus: 127 },
    ]);
  });

  it('is in the description for people', () => {
    expect(describeTopology(spec('{ address: "0xb0000000", lastBus: 63 }'))).toContain('ecam    0xb0000000, segment 0, buses 00 to 3f\n');
  });

  it.each([
    [['{ address: here }'], 'line 3: "here" is not an address'],
    [['{ address: "0xb8000000" }'], 'does not begin at a multiple of 256 MiB'],
    [['{ address: "0x40000000" }'], 'overlaps memory 0x40000000'],
    [['{ address: "0xe0000000", lastBus: 15 }'], 'meets 0xe0000000 to 0xffffffff, where BARs and interrupts are'],
    [['{ address: "0xb0000000" }', '{ address: "0xb0000000", segment: 1 }'], 'line 4: the ECAM of segment 0'],
    [['{ address: "0xb0000000", size: 1MiB }'], 'size'],
    [['{ address: "0xb0000000", lastBus: 256 }'], 'lastBus'],
  ])('%j is refused', (lines, message) => {
    expect(refused(...lines)).toContain(message);
  });
});
