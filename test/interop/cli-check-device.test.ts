/** `iommud check-device`, on a function that has mistakes and on the clone of edu that lives in a Python program. */
import { afterAll, expect, test } from 'vitest';
import { connect, defineFunction } from '../../client/src/index.ts';
import { endPythonEdu, missingForPython, playPythonEdu } from '../kit/python-edu.ts';
import { iommud, serviceForCommands } from './cli-here.ts';

afterAll(endPythonEdu);

serviceForCommands();

test('prints a line for each check, and ends with 1 when one fails', async () => {
  const made = JSON.parse((await iommud('machine', 'create', '--name', 'lab', '--json')).out) as { socketUrl: string };
  expect(await iommud('check-device', 'lab', '--claim', '00:04.0', '--wait', '0')).toMatchObject({ code: 1 });
  const model = await connect(made.socketUrl, { roles: ['device'] });
  const wrong = defineFunction({
    vendor: 0x1234,
    device: 1,
    bars: [{ bar: 0, size: '4KiB' }],
    capabilities: { ats: { queueDepth: 4 } },
    state: () => ({}),
    onRead: (_fn, { offset }) => {
      if (offset === 0xff0) throw new Error('nobody expects this register');
      return 0n;
    },
  });
  await wrong.claim(model, '00:04.0');
  const { code, out, err } = await iommud('check-device', 'lab', '--claim', '00:04.0');
  expect(code).toBe(1);
  expect(out).toContain('ok    identification does not change when it is written\n');
  expect(out).toMatch(/^FAIL {2}every register answers in time: .*nobody expects this register/m);
  expect(out).toMatch(/^ok {4}a reset by flr: it answers, and its configuration is given back$/m);
  expect(out).toMatch(/\d+ checks, 1 failed\n$/);
  expect(err).toContain('00:04.0 fails 1 of ');
  await model.close();
}, 60_000);

const missing = missingForPython();

test.skipIf(missing !== undefined)(
  `finds nothing wrong with the edu in Python${missing === undefined ? '' : `: SKIPPED, ${missing}`}`,
  async () => {
    const made = JSON.parse((await iommud('machine', 'create', '--name', 'snakes', '--json')).out) as { socketUrl: string };
    await playPythonEdu(made.socketUrl, '00:04.0');
    const { code, out, err } = await iommud('check-device', 'snakes', '--claim', '00:04.0');
    expect(err).toBe('');
    expect(out).toContain('ok    every register answers in time\n');
    expect(out).toMatch(/^ok {4}a reset by pm: it answers, and its configuration is given back$/m);
    expect(out).toMatch(/\d+ checks, 0 failed\n$/);
    expect(code).toBe(0);
  },
  60_000,
);
