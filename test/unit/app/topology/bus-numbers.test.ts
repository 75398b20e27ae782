import { describe, expect, it } from 'vitest';
import { parseTopology, topologyFromValue, type TopologyFormat } from '../../../../server/src/app/topology/index.ts';

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

describe('a hierarchy is refused', () => {
  const below = (model: string, ...lines: readonly string[]): string =>
    functions('- address: "00:01.0"', `  model: ${model}`, '  children:', ...lines.map((line) => `    ${line}`));

  it.each([
    [
      'an upstream port on a root bus',
      functions('- { address: "00:01.0", model: upstream-port }'),
      'line 3: an upstream-port cannot be on a root bus; what can is host-bridge, root-port',
    ],
    [
      'a downstream port below a root port',
      below('root-port', '- { address: "00.0", model: downstream-port }'),
      'line 6: a downstream-port cannot be below a root-port',
    ],
    [
      'a host bridge below a port',
      below('root-port', '- { address: "00.0", model: host-bridge }'),
      'line 6: a host-bridge cannot be below a root-port',
    ],
    [
      'an endpoint in a switch',
      below('root-port', '- address: "00.0"', '  model: upstream-port', '  children: [{ address: "00.0", model: remote }]'),
      'line 8: a remote cannot be below an upstream-port; what can is downstream-port',
    ],
    [
      'device 1 at the end of a link',
      below('root-port', '- { address: "01.0", model: remote }'),
      'line 6: 01.0 is at the end of a link, where everything is device 00',
    ],
    [
      'a child on another bus than its sibling',
      below('root-port', '- { address: "05:00.0", model: remote }', '- { address: "06:00.1", model: remote }'),
      'line 7: 06:00.1 is below a port whose secondary bus is 05',
    ],
    [
      'a child in another segment',
      below('root-port', '- { address: "0001:01:00.0", model: remote }'),
      'line 6: 0001:01:00.0 is in another segment than the port above it',
    ],
    [
      'a bus that was given before',
      functions('- { address: "00:01.0", model: root-port, bus: "05" }', '- { address: "00:02.0", model: root-port, bus: "05" }'),
      'line 4: bus 05 is not above 05, the last one given (to 00:01.0 on line 3); ports are numbered depth first',
    ],
    [
      'a bus number that is the own one',
      functions('- { address: "05:01.0", model: root-port, bus: "05" }'),
      'line 3: bus 05 is not above 05',
    ],
    [
      'a root bus where a port needs it',
      functions('- { address: "00:01.0", model: root-port }', '- { address: "01:00.0", model: remote }'),
      'line 3: bus 01 would be below this port, but line 4 has it as a root bus; move that function into children',
    ],
    [
      'no bus number left',
      functions('- { address: "ff:01.0", model: root-port }'),
      'line 3: no bus number is left for this port; a segment has 256',
    ],
    ['a malformed bus', functions('- { address: "00:01.0", model: root-port, bus: "5" }'), 'line 3: bus is "5"; write it as "01"'],
    ['a bus that is a number', functions('- { address: "00:01.0", model: root-port, bus: 5 }'), 'line 3: bus is the number 5; write "05"'],
  ])('with %s', (_, text, message) => {
    expect(refused(text)).toContain(message);
  });

  it('where its BARs need more than the window', () => {
    const ports = Array.from({ length: 200 }, (_, i) => {
      const address = `${(i >> 8).toString(16).padStart(2, '0')}:${((i >> 3) & 31).toString(16).padStart(2, '0')}.${i & 7}`;
      return `- { address: "${address}", model: root-port, children: [{ address: "00.0", model: remote }] }`;
    });
    expect(parseTopology(functions(...ports)).functions).toHaveLength(400);
    const probes = Array.from({ length: 4096 }, (_, i) => {
      const address = `${(i >> 8).toString(16).padStart(2, '0')}:${((i >> 3) & 31).toString(16).padStart(2, '0')}.${i & 7}`;
      return { address, model: 'remote' };
    });
    const tooMany = {
      schema: 'iommud.topology/v1',
      functions: [...probes, ...probes.map((fn) => ({ ...fn, address: `0001:${fn.address}` }))],
    };
    expect(() => topologyFromValue(tooMany)).toThrow(
      /functions\[\d+\]: with its BARs, BARs need more than the window 0xe0000000 to 0xfebfffff/,
    );
  });
});
