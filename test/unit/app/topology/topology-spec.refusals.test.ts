import { describe, expect, it } from 'vitest';
import { parseTopology, type TopologyFormat } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';

const HEAD = 'schema: iommud.topology/v1\n';

function refused(text: string, format: TopologyFormat = 'auto'): string {
  try {
    parseTopology(text, format);
  } catch (error) {
    expect(error).toMatchObject({ name: 'ModelError', code: 'EINVAL' });
    return (error as Error).message;
  }
  throw new Error(`was not refused: ${text}`);
}

/** One function on line 3 and on. */
function functions(...lines: readonly string[]): string {
  return `${HEAD}functions:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

describe('an address that is a number', () => {
  it.each([
    [
      'in JSON',
      '{ "schema": "iommud.topology/v1",\n "functions": [\n  { "model": "dma-probe",\n    "address": 2 } ] }',
      'line 4: address is the number 2; write "00:02.0"',
    ],
    [
      'in JSON, at the end of a line',
      '{ "schema": "iommud.topology/v1",\n "functions": [{ "model": "remote", "address": 3\n} ] }',
      'line 2: address is the number 3; write "00:03.0"',
    ],
    [
      'in JSON, of another bus',
      '{ "schema": "iommud.topology/v1",\n "functions": [{ "model": "remote", "address": 62.1 }] }',
      'line 2: address is the number 62.1; write "01:02.1"',
    ],
    [
      'that is no place',
      '{ "schema": "iommud.topology/v1",\n "functions": [{ "model": "remote", "address": -7e9 }] }',
      'line 2: address is the number -7000000000; write "00:02.0"',
    ],
    [
      'in YAML 1.1',
      `%YAML 1.1\n---\n${HEAD}functions:\n  - address: 00:02.0\n    model: dma-probe\n`,
      'line 5: address is the number 2; write "00:02.0"',
    ],
    [
      'in YAML 1.1, of another bus',
      `%YAML 1.1\n---\n${HEAD}functions:\n  - model: dma-probe\n    address: 03:11.7\n`,
      'line 6: address is the number 191.7; write "03:11.7"',
    ],
    [
      'in children',
      functions('- address: "00:01.0"', '  model: root-port', '  children:', '    - address: 00.0', '      model: dma-probe'),
      'line 6: address is the number 0; write "00.0"',
    ],
    [
      'of memory',
      `${HEAD}memory:\n  - address: 0x10000\n    size: 1GiB\nfunctions: []\n`,
      'line 3: address is the number 65536; write "0x10000"',
    ],
  ])('is refused %s', (_, text, message) => {
    expect(refused(text)).toBe(message);
  });

  it('is read as text by YAML 1.2', () => {
    expect(parseTopology(functions('- { address: 00:02.0, model: dma-probe }')).functions.map((fn) => formatBdf(fn.bdf))).toEqual([
      '00:02.0',
    ]);
  });
});

describe('a document is refused', () => {
  const probe = (more: string): string => functions(`- { address: "00:02.0", model: dma-probe, ${more} }`);

  it.each([
    ['without a schema', 'functions: []\n', 'line 1: "schema" is missing'],
    [
      'of another schema',
      'name: x\nschema: iommud.topology/v2\nfunctions: []\n',
      'line 2: schema is "iommud.topology/v2"; this reads "iommud.topology/v1"',
    ],
    ['without functions', HEAD, 'line 1: "functions" is missing'],
    ['that is empty', '', 'line 1: a topology is an object with "schema: iommud.topology/v1"'],
    ['that is a sentence', 'hello there\n', 'line 1: a topology is an object with "schema: iommud.topology/v1"'],
    ['that is a scalar which looks like an alias', '--- |\n*a\n', 'a topology is an object with "schema: iommud.topology/v1"'],
    ['that is a list', '- a\n', 'line 1: a topology is an object with "schema: iommud.topology/v1"'],
    ['with an unknown key', `${HEAD}memroy: []\nfunctions: []\n`, 'line 2: unknown key "memroy"; did you mean "memory"?'],
    [
      'with an unknown key of a function',
      functions('- address: "00:02.0"', '  modle: dma-probe'),
      'line 4: unknown key "modle"; did you mean "model"?',
    ],
    ['with a key like no other', probe('colour: red'), 'line 3: unknown key "colour"'],
    ['with an unknown key of the IOMMU', `${HEAD}iommu:\n  timeout: 1s\nfunctions: []\n`, 'line 3: unknown key "timeout"'],
    [
      'with an unknown model',
      functions('- address: "00:02.0"', '  model: dma-prob'),
      'line 4: model is "dma-prob"; did you mean "dma-probe"?',
    ],
    [
      'with a model like no other',
      functions('- address: "00:02.0"', '  model: gpu'),
      'line 4: model is "gpu"; it is one of host-bridge, root-port',
    ],
    ['with a malformed address', functions('- address: "0:2.0"', '  model: remote'), 'line 3: address is "0:2.0"; write it as "00:02.0"'],
    [
      'with a device that is too high',
      functions('- address: "00:20.0"', '  model: remote'),
      'line 3: address is "00:20.0"; write it as "00:02.0"',
    ],
    [
      'with a root function without a bus',
      functions('- address: "02.0"', '  model: remote'),
      'line 3: 02.0 has no bus; on a root bus write "00:02.0"',
    ],
    [
      'with two functions at one address',
      functions('- { address: "00:02.0", model: remote }', '- { address: "0000:00:02.0", model: remote }'),
      'line 4: 00:02.0 is already on line 3; an address holds one function',
    ],
    [
      'with a function 1 alone',
      functions('- { address: "00:02.1", model: remote }'),
      'line 3: 00:02.1 has no function 0 beside it; software finds no device without one',
    ],
    [
      'with siblings that deny it',
      functions('- { address: "00:02.0", model: remote, multifunction: false }', '- { address: "00:02.1", model: remote }'),
      'line 3: 00:02.0 has other functions beside it and must be multifunction',
    ],
    ['with a truth value in quotes', probe('acs: "yes"'), 'line 3: acs is "yes"; write true or false'],
    ['with a time without unit', probe('latency: 3'), 'line 3: latency is the number 3; write "250ns"'],
    ['with a time that is none', probe('latency: soon'), 'line 3: "soon" is not a time; write it as "60s" or "250ns"'],
    [
      'with an IOMMU that is neither',
      `${HEAD}iommu: yes\nfunctions: []\n`,
      'line 2: iommu is "yes"; write "none" or an object with invalidationTimeout',
    ],
    ...['0', '16385', '1.5'].map((entries): [string, string, string] => [
      `with a page request queue of ${entries} entries`,
      `${HEAD}iommu: { pageRequestQueue: ${entries} }\nfunctions: []\n`,
      `line 2: pageRequestQueue is ${entries}; it is an integer from 1 to 16384`,
    ]),
    [
      'with an isolation that there is not',
      `${HEAD}iommu: { isolation: none }\nfunctions: []\n`,
      'line 2: isolation is "none"; it is one of blocked, direct-regions',
    ],
    [
      'with a driver that has a blocked domain, perhaps',
      `${HEAD}iommu: { blockedDomain: "no" }\nfunctions: []\n`,
      'line 2: blockedDomain is "no"; write true or false',
    ],
    ['with an IOMMU that does not wait', `${HEAD}iommu: { invalidationTimeout: 0s }\nfunctions: []\n`, 'line 2: must be longer than 0'],
    [
      'with an IOMMU that waits for a number',
      `${HEAD}iommu: { invalidationTimeout: 60 }\nfunctions: []\n`,
      'line 2: invalidationTimeout is the number 60; write "60s"',
    ],
    ['with an address that is no number', functions('- { address: .nan, model: remote }'), 'write "00:02.0"'],
    ['with an address in hex', functions('- { address: 0x10, model: remote }'), 'is the number 16; write "00:02.0"'],
    ['with an address with an exponent', functions('- { address: 1e1, model: remote }'), 'is the number 10; write "00:02.0"'],
    ['with a name that no machine can have', `${HEAD}name: a b/c\nfunctions: []\n`, 'line 2: name is "a b/c"; it is up to 64 letters'],
    ['with children of an endpoint', probe('children: []'), 'line 3: dma-probe is no port; it has no children'],
    ['with a bus of an endpoint', probe('bus: "01"'), 'line 3: dma-probe is no port; it has no secondary bus'],
    ['with config of a dma-probe', probe('config: "00"'), 'line 3: config means nothing for dma-probe; it is for replay, remote'],
    [
      'with ATS of a port',
      functions('- { address: "00:01.0", model: root-port, ats: true }'),
      'line 3: ats means nothing for root-port; it is for dma-probe, remote',
    ],
    [
      'with a replay of nothing',
      functions('- { address: "00:02.0", model: replay }'),
      'line 3: a replay function needs config: the bytes that "lspci -xxxx" prints',
    ],
    [
      'with config that is too short',
      functions('- address: "00:02.0"', '  model: replay', '  config: "00 01"'),
      'line 5: config has 2 bytes; it must be 64, 256 or 4096',
    ],
    [
      'with config and ats',
      functions('- address: "00:02.0"', '  model: remote', `  config: "${'00 '.repeat(64).trim()}"`, '  ats: true'),
      'line 6: ats is in the bytes of config; leave one of the two out',
    ],
    [
      'with memory on page 0.5',
      `${HEAD}memory: [{ address: "0x800", size: 1GiB }]\nfunctions: []\n`,
      'line 2: 0x800 is not a multiple of 4 KiB',
    ],
    [
      'with memory of half a page',
      `${HEAD}memory: [{ address: "0x0", size: 2KiB }]\nfunctions: []\n`,
      'line 2: 2KiB is not a multiple of 4 KiB',
    ],
    [
      'with memory of nothing',
      `${HEAD}memory: [{ address: "0x0", size: "0" }]\nfunctions: []\n`,
      'line 2: a range of memory has at least 4 KiB',
    ],
    [
      'with a size that is none',
      `${HEAD}memory: [{ address: "0x0", size: 1GB }]\nfunctions: []\n`,
      'line 2: "1GB" is not a size; write it as "1GiB" or "0x40000000"',
    ],
    [
      'with memory where BARs are',
      `${HEAD}memory: [{ address: "0xc0000000", size: 1GiB }]\nfunctions: []\n`,
      'line 2: memory 0xc0000000 to 0xffffffff meets 0xe0000000 to 0xffffffff, where BARs and interrupts are',
    ],
    [
      'with memory beyond 56 bits',
      `${HEAD}memory: [{ address: "0xffffffffffc000", size: 16KiB }, { address: "0xfffffffffff000", size: 8KiB }]\nfunctions: []\n`,
      'is wider than 56 bits',
    ],
    [
      'with memory that overlaps',
      `${HEAD}memory:\n  - { address: "0x1000", size: 8KiB }\n  - { address: "0x2000", size: 4KiB }\nfunctions: []\n`,
      'line 4: memory at 0x2000 overlaps the range on line 3',
    ],
    ['with a key twice', `${HEAD}functions: []\nfunctions: []\n`, 'line 3: key "functions" is already on line 2'],
    [
      'with a key twice in JSON',
      '{"schema": "iommud.topology/v1",\n"functions": [],\n"functions": []}',
      'line 3: key "functions" is already on line 2',
    ],
    [
      'with an alias',
      `${HEAD}functions:\n  - &a { address: "00:02.0", model: remote }\n  - *a\n`,
      'line 3: anchors and aliases are not read; write the value out',
    ],
    ['that is broken YAML', `${HEAD}functions: [\n`, 'line 3: Flow sequence'],
    ['that is broken JSON', '{\n"schema": }', 'line 2: '],
    ['that is broken JSON in the middle', '{\n"schema": x,\n"functions": []\n}', 'line 2: '],
    ['that is JSON with a comma too many', '{\n"functions": [],\n}\n\n', 'line 3: '],
    ['that is JSON cut off', '{\n"schema": "a"\n', 'line 3: '],
    ['in two documents', `${HEAD}---\n${HEAD}`, 'line 2: a second document; a topology is one document'],
    ['nested without end', '['.repeat(100_000), 'line 1: nested too deeply'],
    ['nested without end in JSON', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'line 1: nested too deeply'],
    ['nested on one line', '- '.repeat(50_000), 'line 1: nested too deeply'],
    [
      'of too much YAML',
      `${HEAD}functions: []\n`.padEnd((1 << 18) + 1),
      'line 1: 262145 characters are more than the 262144 that YAML may have; write it as JSON',
    ],
    ['of too much JSON', '{}'.padEnd((1 << 22) + 1), '4194305 characters are more than the 4194304 that a topology may have'],
  ])('%s', (_, text, message) => {
    expect(refused(text)).toContain(message);
  });

  it('in JSON on one line, whatever it quotes', () => {
    expect(refused('{\n"schema": x,\n"functions": []\n}')).not.toContain('\n');
  });

  it('but not for a byte order mark', () => {
    expect(parseTopology('\uFEFF{"schema": "iommud.topology/v1", "functions": []}').functions).toEqual([]);
  });

  it('but not at the limits of size', () => {
    expect(parseTopology(`${HEAD}functions: []\n`.padEnd(1 << 18)).functions).toEqual([]);
    expect(parseTopology('{"schema": "iommud.topology/v1", "functions": []}'.padEnd(1 << 22)).functions).toEqual([]);
  });

  it('but not for text that looks like an alias or a bracket inside of a scalar', () => {
    const text = functions('- address: "00:02.0"', '  model: remote', '  label: |', '    *not an alias &nor an anchor [[[');
    expect(parseTopology(text).functions[0]?.label).toBe('*not an alias &nor an anchor [[[\n');
  });
});
