import { describe, expect, it } from 'vitest';
import { topologyFromValue } from '../../../../server/src/app/topology/index.ts';
import { formatBdf } from '../../../../server/src/core/base/index.ts';

const probe = (address: string, dmaAliases?: readonly string[]): object => ({
  address,
  model: 'dma-probe',
  ...(dmaAliases === undefined ? {} : { dmaAliases }),
});
const read = (...functions: readonly object[]) => topologyFromValue({ schema: 'iommud.topology/v1', functions }).functions;

describe('DMA aliases', () => {
  it('are on the bus of the function, with or without it', () => {
    const [first] = read(probe('00:02.0', ['02.1', '00:03.0']));
    expect(first?.dmaAliases?.map(formatBdf)).toEqual(['00:02.1', '00:03.0']);
    const below = read({ address: '00:01.0', model: 'root-port', children: [probe('00.0', ['00.1'])] });
    expect(below[1]?.dmaAliases?.map(formatBdf)).toEqual(['01:00.1']);
  });

  it('of two functions may be a third', () => {
    expect(read(probe('00:02.0'), probe('00:02.1', ['02.0']), probe('00:02.2', ['02.0']))).toHaveLength(3);
  });

  it.each([
    [
      'that clash, both by name',
      [probe('00:02.0', ['02.7']), probe('00:03.0', ['02.7'])],
      'functions[0].dmaAliases[0]: 00:02.7 is an alias of both 00:02.0 and 00:03.0 (functions[1])',
    ],
    ['on another bus', [probe('00:02.0', ['01:00.0'])], '01:00.0 is not on the bus of 00:02.0'],
    ['in another segment', [probe('00:02.0', ['0001:00:02.1'])], '0001:00:02.1 is not on the bus of 00:02.0'],
    ['that are its own', [probe('00:02.0', ['02.0'])], "00:02.0 is the function's own address"],
    ['that are named twice', [probe('00:02.0', ['02.1', '00:02.1'])], '00:02.1 is named twice'],
    ['that are none', [probe('00:02.0', ['02.8'])], 'dmaAliases'],
    ['of a port', [{ address: '00:01.0', model: 'root-port', dmaAliases: ['01.1'] }], 'dmaAliases means nothing for root-port'],
  ])('are refused %s', (_, functions, message) => {
    expect(() => read(...functions)).toThrow(expect.objectContaining({ code: 'EINVAL', message: expect.stringContaining(message) }));
  });
});
