import { describe, expect, it } from 'vitest';
import { parseTopology } from '../../../../server/src/app/topology/index.ts';

const HEAD = 'schema: iommud.topology/v1\n';
const spec = (...lines: readonly string[]) =>
  parseTopology(`${HEAD}iommu:\n${lines.map((line) => `  ${line}\n`).join('')}functions: []\n`).iommu?.interrupts;
const refused = (...lines: readonly string[]): string => {
  try {
    spec(...lines);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  throw new Error('was not refused');
};

describe('who takes interrupts', () => {
  it.each([
    ['nothing said', ['isolation: blocked'], undefined],
    ['x86', ['interrupts: x86'], { at: 'x86', remapping: 'off' }],
    ['remapping switched off', ['interruptRemapping: false'], { at: 'x86', remapping: 'off' }],
    ['remapping', ['interruptRemapping: true'], { at: 'x86', remapping: 'on' }],
    ['compatibility', ['interruptRemapping: true', 'compatibilityInterrupts: true'], { at: 'x86', remapping: 'compatibility' }],
    ['no compatibility', ['interruptRemapping: true', 'compatibilityInterrupts: false'], { at: 'x86', remapping: 'on' }],
    ['translated', ['interrupts: translated'], { at: 'translated', doorbell: 0x809_0000n }],
    ['a doorbell', ['interrupts: translated', 'doorbell: "0x9000000"'], { at: 'translated', doorbell: 0x900_0000n }],
  ] as const)('%s', (_, lines, expected) => {
    expect(spec(...lines)).toEqual(expected);
  });

  it.each([
    ['interrupts: translated', 'interruptRemapping: true', 'line 4: interruptRemapping is of interrupts x86'],
    ['isolation: blocked', 'doorbell: "0x8090000"', 'line 4: doorbell means nothing unless interrupts is translated'],
    [
      'interruptRemapping: false',
      'compatibilityInterrupts: true',
      'line 4: compatibilityInterrupts means nothing without interruptRemapping',
    ],
    ['interrupts: translated', 'doorbell: "0x8090800"', 'line 4: 0x8090800 is not a multiple of 4 KiB'],
    ['interrupts: translated', 'doorbell: here', 'line 4: "here" is not an address'],
    ['interrupts: translated', 'doorbell: "0xfff0000000000000"', 'line 4: 0xfff0000000000000 is wider than 56 bits'],
  ])('%s with %s is refused', (first, second, message) => {
    expect(refused(first, second)).toContain(message);
  });
});
