import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBdf, parseBdf } from '../../../server/src/core/base/index.ts';
import { ConfigSpace, formatLspci, parseLspci } from '../../../server/src/core/pci/index.ts';

const FIXTURES = new URL('../../fixtures/lspci/', import.meta.url);

function fixture(name: string): string {
  return readFileSync(new URL(name, FIXTURES), 'utf8');
}

/** Rows of hex from `from` to `to`, all zero but for the vendor. */
function rows(from: number, to: number): string {
  let text = '';
  for (let offset = from; offset < to; offset += 16) {
    const first = offset === 0 ? '34 12' : '00 00';
    text += `${offset.toString(16).padStart(2, '0')}: ${first}${' 00'.repeat(14)}\n`;
  }
  return text;
}

function refused(text: string): string {
  try {
    parseLspci(text);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL', field: 'lspci' });
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

describe('parseLspci', () => {
  it('reads functions with their text, sizes and lines', () => {
    const dump = parseLspci(fixture('root-port-and-endpoint.lspci'));
    expect(dump.warnings).toEqual([]);
    expect(dump.functions.map(({ bdf, label, config, line }) => [formatBdf(bdf), label, config.length, line])).toEqual([
      ['00:00.0', 'Host bridge: Example host bridge', 256, 1],
      ['00:01.0', 'PCI bridge: Example root port (prog-if 00 [Normal decode])', 4096, 20],
      ['01:00.0', 'Unassigned class [ff00]: Example endpoint (rev 01)', 4096, 281],
    ]);
    expect(dump.functions[2]?.barBytes).toEqual([0x1000n, 0n, 0x10000n, 0n, 0n, 0n, 0n]);
    expect([...(dump.functions[2]?.config.subarray(0, 4) ?? [])]).toEqual([0x34, 0x12, 0xd0, 0x11]);
  });

  it('reads domains, and lines that end in CR LF', () => {
    const text = fixture('domains-crlf.lspci');
    expect(text).toContain('\r\n');
    const dump = parseLspci(text);
    expect(dump.functions.map(({ bdf, label }) => [formatBdf(bdf), label])).toEqual([
      ['00:03.0', 'Ethernet controller: Example'],
      ['0001:00:03.0', 'Non-Volatile memory controller: Example'],
    ]);
  });

  it('reads 64 bytes, and the 128 of a CardBus bridge', () => {
    const dump = parseLspci(fixture('short-x.lspci'));
    expect(dump.functions.map(({ config }) => config.length)).toEqual([64, 128]);
    expect(new ConfigSpace(dump.functions[1]!.config)).toMatchObject({ headerType: 2, secondaryBus: 5, subordinateBus: 6 });
  });

  it('reads upper case, a last line without its end, and no blank line between functions', () => {
    const text = `00:1F.0 A\n${rows(0, 64)}00:1f.1 B\n${rows(0, 64)}`.replaceAll('34 12', 'AB CD').trimEnd();
    expect(parseLspci(text).functions.map(({ bdf, config }) => [formatBdf(bdf), config[0]])).toEqual([
      ['00:1f.0', 0xab],
      ['00:1f.1', 0xab],
    ]);
  });

  it('warns of broken chains through ConfigSpace, naming function and offset', () => {
    const dump = parseLspci(fixture('extended-chains-broken.lspci'));
    const warnings = dump.functions.flatMap(({ bdf, config }) => new ConfigSpace(config, { name: formatBdf(bdf) }).warnings);
    expect(warnings).toEqual([
      '03:00.0: the extended capability chain loops: 0x12c leads back to 0x100',
      '03:00.1: the extended capability at 0x100 has the misaligned pointer 0x12e',
      '03:00.2: the extended capability at 0x100 leads to 0x40, outside of extended configuration space',
    ]);
  });

  it('leaves out a function without hex and says so', () => {
    const dump = parseLspci(`00:00.0 Host bridge\n\n00:01.0 Other\n${rows(0, 64)}`);
    expect(dump.functions).toHaveLength(1);
    expect(dump.warnings).toEqual(['line 1: 00:00.0 has no hex dump and is left out']);
  });

  it('skips what is around the functions and says so, but not for ever', () => {
    const dump = parseLspci(`${'hello\n'.repeat(20)}00:01.0 A\n${rows(0, 64)}`);
    expect(dump.functions).toHaveLength(1);
    expect(dump.warnings).toHaveLength(9);
    expect(dump.warnings[0]).toBe('line 1: skipped, outside of a function: "hello"');
    expect(dump.warnings[8]).toBe('12 more lines outside of a function were skipped');
  });

  it('leaves out functions whose domain a segment cannot hold, and says which', () => {
    const dump = parseLspci(`\uFEFF00:01.0 A\n${rows(0, 64)}\n10000:e0:06.0 B\n\tFlags: x\n${rows(0, 64)}\n00:02.0 C\n${rows(0, 64)}`);
    expect(dump.functions.map(({ bdf }) => formatBdf(bdf))).toEqual(['00:01.0', '00:02.0']);
    expect(dump.warnings).toEqual(['line 7: 10000:e0:06.0 is left out: its domain is above ffff; a segment has 16 bits']);
  });

  it('warns of a function that did not answer', () => {
    const ones = rows(0, 64).replaceAll(/(?<=[ ])[0-9a-f]{2}/g, 'ff');
    expect(parseLspci(`00:01.0 A\n${ones}`).warnings).toEqual(['line 1: 00:01.0 reads all ones; it did not answer']);
  });

  it.each([
    ['nothing', '', 'line 1: not the output of "lspci -xxxx": the text is empty'],
    ['other text', '\n\n{"hello": 1}\n', 'line 3: not the output of "lspci -xxxx": "{"hello": 1}"'],
    [
      'no hex at all',
      '00:00.0 Host bridge\n\tControl: I/O-\n\n00:01.0 PCI bridge\n',
      'line 1: no function has a hex dump; take one with "lspci -xxxx" as root',
    ],
    ['hex before any function', rows(0, 64), 'line 1: a row of hex that belongs to no function'],
    ['a row out of order', `00:01.0 A\n${rows(0, 32)}${rows(48, 64)}`, 'line 4: row 0x30 of 00:01.0 where 0x20 is next'],
    ['a row twice', `00:01.0 A\n${rows(0, 32)}${rows(16, 64)}`, 'line 4: row 0x10 of 00:01.0 where 0x20 is next'],
    ['a short row', `00:01.0 A\n00: 01 02 03\n`, 'line 2: 3 bytes in a row that has 16'],
    ['a long row', `00:01.0 A\n00:${' 00'.repeat(17)}\n`, 'line 2: 17 bytes in a row that has 16'],
    ['what is no byte', `00:01.0 A\n00:${' 00'.repeat(15)} 0g\n`, 'line 2: "0g" is not a byte in hex'],
    ['too few rows', `\n00:01.0 A\n${rows(0, 48)}`, 'line 2: 00:01.0 has 48 bytes of configuration space; it must be 64, 256 or 4096'],
    [
      '128 bytes of what is no CardBus bridge',
      `00:01.0 A\n${rows(0, 128)}`,
      'line 1: 00:01.0 has 128 bytes of configuration space; it must be 64, 256 or 4096',
    ],
    [
      'too many rows',
      `00:01.0 A\n${rows(0, 4096)}1000:${' 00'.repeat(16)}\n`,
      'line 258: row 1000 of 00:01.0; a function has at most 4096 bytes',
    ],
    [
      'an indented row',
      `00:01.0 A\n${rows(0, 16)} 10:${' 00'.repeat(16)}\n`,
      `line 3: neither a row of hex nor text of 00:01.0: " 10:${' 00'.repeat(12)}"`,
    ],
    ['other text in a function', `00:01.0 A\n${rows(0, 16)}x10\n`, 'line 3: neither a row of hex nor text of 00:01.0: "x10"'],
    [
      'rows below a line that was skipped',
      `0:1.0 A\n${rows(0, 64)}`,
      'line 2: a row of hex that belongs to no function; line 1 was skipped: "0:1.0 A"',
    ],
    [
      'an address twice',
      `00:01.0 A\n${rows(0, 64)}\n00:01.0 B\n${rows(0, 64)}`,
      'line 7: 00:01.0 is already on line 1; an address holds one function',
    ],
    [
      'the same in another form',
      `00:01.0 A\n${rows(0, 64)}\n0000:00:01.0 B\n${rows(0, 64)}`,
      'line 7: 00:01.0 is already on line 1; an address holds one function',
    ],
    ['a domain of more than 16 bits', `10000:e0:06.0 A\n${rows(0, 64)}`, 'line 1: every domain is above ffff; a segment has 16 bits'],
    ['a domain of 32 bits', `00010000:e0:06.0 A\n${rows(0, 64)}`, 'line 1: every domain is above ffff; a segment has 16 bits'],
  ])('refuses %s', (_, text, message) => {
    expect(refused(text)).toBe(message);
  });

  it('refuses more text than its limit, and reads up to it', () => {
    const most = 1 << 24;
    const dump = `00:01.0 A\n${rows(0, 64)}\n`;
    expect(parseLspci(dump.padEnd(most)).functions).toHaveLength(1);
    expect(refused(dump.padEnd(most + 1))).toBe(`${most + 1} characters are more than the ${most} that a dump may have`);
  });
});

describe('formatLspci', () => {
  const dump = parseLspci(fixture('root-port-and-endpoint.lspci')).functions;

  it.each([
    ['none', [0, 0, 0]],
    ['x', [4, 4, 4]],
    ['xxx', [16, 16, 16]],
    ['xxxx', [16, 256, 256]],
  ] as const)('prints as much as -%s does', (hex, expected) => {
    const blocks = hex === 'none' ? formatLspci(dump, { hex }).trimEnd().split('\n') : formatLspci(dump, { hex }).trimEnd().split('\n\n');
    expect(blocks.map((block) => block.split('\n').length - 1)).toEqual(expected);
  });

  it('prints 128 bytes of a CardBus bridge at -x', () => {
    const { functions } = parseLspci(fixture('short-x.lspci'));
    expect(parseLspci(formatLspci(functions, { hex: 'x' })).functions.map(({ config }) => config.length)).toEqual([64, 128]);
  });

  it('prints rows as lspci does', () => {
    const lines = formatLspci(dump, { hex: 'xxxx' }).split('\n');
    expect(lines.slice(0, 2)).toEqual(['00:00.0 Host bridge: Example host bridge', '00: 34 12 d1 11 06 00 00 00 00 00 00 06 00 00 00 00']);
    expect(lines.find((line) => line.startsWith('100:'))).toMatch(/^100: 01 00 82 13 00/);
  });

  it('prints domains when asked, and when one is not 0', () => {
    expect(formatLspci(dump.slice(0, 1), { hex: 'none', domains: true })).toBe('0000:00:00.0 Host bridge: Example host bridge\n');
    const two = parseLspci(fixture('domains-crlf.lspci')).functions;
    expect(
      formatLspci(two, { hex: 'none' })
        .split('\n')
        .map((line) => line.slice(0, 12)),
    ).toEqual(['0000:00:03.0', '0001:00:03.0', '']);
  });

  it('prints IDs where there is no label, and keeps a label on one line', () => {
    const config = dump[2]!.config;
    const bdf = parseBdf('01:00.0')!;
    expect(formatLspci([{ bdf, label: '', config }], { hex: 'none' })).toBe('01:00.0 ff00: 1234:11d0 (rev 01)\n');
    expect(formatLspci([{ bdf, label: 'two\nlines\there ', config }], { hex: 'none' })).toBe('01:00.0 two lines here\n');
  });

  it('prints lines that lspci -F reads: no control characters, at most 253 bytes, cut between characters', () => {
    const config = dump[0]!.config;
    const line = (label: string): string => formatLspci([{ bdf: parseBdf('00:02.0')!, label, config }], { hex: 'none' }).trimEnd();
    expect(line('a\0b\u001bc\u0085d')).toBe('00:02.0 a b c d');
    expect(line('x'.repeat(245))).toBe(`00:02.0 ${'x'.repeat(245)}`);
    expect(line('x'.repeat(256))).toBe(`00:02.0 ${'x'.repeat(245)}`);
    expect(line(`${'x'.repeat(244)}é`)).toBe(`00:02.0 ${'x'.repeat(244)}`);
    expect(line(`${'x'.repeat(242)}😀`)).toBe(`00:02.0 ${'x'.repeat(242)}`);
    expect(line(`${'x'.repeat(241)}😀`)).toBe(`00:02.0 ${'x'.repeat(241)}😀`);
  });

  it('prints nothing for nothing', () => {
    expect(formatLspci([], { hex: 'xxxx' })).toBe('');
  });
});
