/** Dumps: what is printed is read back, and no text does anything but be read or be refused. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromLspci, parseTopology } from '../../server/src/app/topology/index.ts';
import { ModelError, bdf } from '../../server/src/core/base/index.ts';
import { dmaProbeConfig, formatLspci, parseLspci } from '../../server/src/core/pci/index.ts';

const places = fc
  .tuple(fc.oneof(fc.constant(0), fc.nat(0xffff)), fc.nat(0xff), fc.nat(0x1f), fc.nat(7))
  .map(([segment, bus, device, fn]) => bdf(segment, bus, device, fn));
const configs = fc.constantFrom(64, 256, 4096).chain((bytes) => fc.uint8Array({ minLength: bytes, maxLength: bytes }));
const labels = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).map((text) => text.replaceAll(/\s+/g, ' ').trim() || 'x');
const dumps = fc.uniqueArray(fc.record({ bdf: places, label: labels, config: configs }), {
  selector: (fn) => fn.bdf,
  minLength: 1,
  maxLength: 6,
});

/** Only ModelError, and soon. */
function readOrRefuse(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code: 'EINVAL' });
  }
}

describe('lspci text', () => {
  it('is read back as it was printed', () => {
    fc.assert(
      fc.property(dumps, fc.boolean(), fc.boolean(), (functions, domains, crlf) => {
        const text = formatLspci(functions, { hex: 'xxxx', domains });
        const dump = parseLspci(crlf ? text.replaceAll('\n', '\r\n') : text);
        expect(dump.functions.map(({ bdf: at, label, config }) => ({ bdf: at, label, config }))).toEqual(functions);
      }),
      { numRuns: 60 },
    );
  });

  it('that is damaged is read or refused', () => {
    const good = formatLspci([{ bdf: bdf(0, 2, 0, 0), label: 'A', config: dmaProbeConfig({ integrated: false }) }], { hex: 'xxx' });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length), fc.nat(30), fc.string({ maxLength: 12, unit: 'binary' })), { minLength: 1, maxLength: 5 }),
        (edits) => {
          let text = good;
          for (const [at, removed, added] of edits) text = text.slice(0, at) + added + text.slice(at + removed);
          readOrRefuse(() => fromLspci(text));
        },
      ),
      { numRuns: 400 },
    );
  });

  it('made of its own pieces in any order is read or refused', () => {
    const pieces = fc.constantFrom(
      '00:02.0 ',
      '0001:00:02.0 x\n',
      '10000:00:02.0 x',
      '00: ',
      '10: ',
      '100: ',
      'ff ',
      '00 '.repeat(16),
      '\n',
      '\r\n',
      '\t',
      '\tRegion 0: Memory [size=4K]\n',
      '[size=',
      'ff:1f.7',
      ':',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 200 }), (parts) => readOrRefuse(() => fromLspci(parts.join('')))),
      { numRuns: 400 },
    );
  });
});

describe('a topology', () => {
  it('of any text is read or refused', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300, unit: 'binary' }), fc.constantFrom('json', 'yaml', 'auto'), (text, format) => {
        readOrRefuse(() => parseTopology(text, format));
      }),
      { numRuns: 400 },
    );
  });

  it('made of its own pieces in any order is read or refused', () => {
    const pieces = fc.constantFrom(
      'schema: iommud.topology/v1',
      '\n',
      '  ',
      '- ',
      '? ',
      ': ',
      'functions:',
      'address: ',
      '"00:02.0"',
      'model: ',
      'root-port',
      'dma-probe',
      'children:',
      '{',
      '}',
      '[',
      ']',
      ',',
      '&a ',
      '*a',
      '!!binary ',
      '!!set ',
      '|',
      '>',
      '#',
      '"',
      "'",
      '---',
      '...',
      '%YAML 1.1\n',
      '\t',
      '<<',
      '__proto__',
      '0',
      '1e999',
      'null',
      '\u{feff}',
      '"\\ud800"',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), fc.constantFrom('json', 'yaml', 'auto'), (parts, format) => {
        readOrRefuse(() => parseTopology(parts.join(''), format));
        readOrRefuse(() => parseTopology(`schema: iommud.topology/v1\nfunctions:\n  ${parts.join('')}`, 'yaml'));
      }),
      { numRuns: 600 },
    );
  });

  it('as any JSON value is read or refused', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        readOrRefuse(() => parseTopology(text, 'json'));
        readOrRefuse(() => parseTopology(`{"schema": "iommud.topology/v1", "functions": [${text}], "memory": ${text}}`, 'json'));
      }),
      { numRuns: 300 },
    );
  });
});
