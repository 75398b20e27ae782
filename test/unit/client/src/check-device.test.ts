/** The kit for functions in other programs, on good ones and on ones that are wrong in one way each. */
import { expect, onTestFinished, test } from 'vitest';
import { checkDevice, connect, defineFunction, type DeviceCheck } from '../../../../client/src/index.ts';
import { startMachine, type TestMachine } from '../../../../client/testing/index.ts';

type Definition = Parameters<typeof defineFunction>[0];

const BDF = '00:04.0';
const GOOD: Definition = {
  vendor: 0x1234,
  device: 0x0c01,
  bars: [{ bar: 0, size: '4KiB' }],
  capabilities: { pm: {}, flr: true, ats: {} },
  state: () => ({ value: 0n }),
  onRead: () => 7n,
};

/** `first`: up to the first that fails. `answerMs`: long enough for a busy machine, where nothing is to be late. */
async function checked(
  definition: Definition,
  { first = false, answerMs = 20_000 } = {},
): Promise<{ machine: TestMachine; results: DeviceCheck[] }> {
  const machine = await startMachine({ preset: 'basic' });
  onTestFinished(() => machine.close());
  const connection = await connect(machine.socketUrl, { roles: ['device'] });
  onTestFinished(() => connection.close());
  await defineFunction(definition).claim(connection, BDF);
  const results: DeviceCheck[] = [];
  for await (const result of checkDevice(machine, BDF, { answerMs })) {
    results.push(result);
    if (first && result.passed === false) break;
  }
  return { machine, results };
}

const failing = (results: readonly DeviceCheck[]) =>
  results.filter(({ passed }) => passed === false).map(({ name, text }) => `${name}: ${text}`);

test('a function that does what it has to do passes, by each of its reset methods', async () => {
  const { machine, results } = await checked(GOOD);
  expect(failing(results)).toEqual([]);
  const { resetMethods } = await machine.function(BDF).info();
  expect(resetMethods).toContain('flr');
  expect(results).toHaveLength(8 + 2 * resetMethods.length);
  expect(results.filter(({ passed }) => passed === undefined)).toEqual([]);
});

test('of what it does not have nothing is tried, and that is said', async () => {
  const { results } = await checked({ vendor: 0x1234, device: 1, bars: [], state: () => ({}) });
  expect(failing(results)).toEqual([]);
  expect(results.filter(({ passed }) => passed === undefined).map(({ text }) => text)).toEqual([
    'it has no BAR in memory',
    'it has no BAR in memory',
    'it has no BAR in memory',
  ]);
});

test.each<[string, Partial<Definition>, RegExp, number?]>([
  [
    'a register that never answers',
    { onRead: (_fn, { offset }) => (offset === 0x20 ? new Promise(() => undefined) : 1n) },
    /every register answers in time: register 0x20 of BAR 0 was not read within 300 ms/,
    300,
  ],
  [
    'a register whose read fails',
    {
      onRead: (_fn, { offset }) => {
        if (offset === 0x10) throw new Error('no such register');
        return 1n;
      },
    },
    /every register answers in time: .*no such register/,
  ],
])(
  '%s is found',
  async (_what, wrong, text, answerMs) => {
    const { results } = await checked({ ...GOOD, ...wrong }, { first: true, answerMs });
    expect(failing(results).join('\n')).toMatch(text);
  },
  60_000,
);
