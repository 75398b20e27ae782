/** `iommud fault`: faults on purpose from a shell, and where they are seen. */
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { iommud } from './cli-here.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'error', tokens: [{ token: 'sesame', roles: ['host', 'observer'], machines: ['*'] }] });
});
afterAll(() => server.close());
beforeEach(() => {
  vi.stubEnv('IOMMUD_URL', server.url);
  vi.stubEnv('IOMMUD_TOKEN', 'sesame');
  onTestFinished(() => void vi.unstubAllEnvs());
});

const MEMORY = ['--address', '0x100000', '--bytes', '4096'];

test('faults are armed, listed, shown with the machine, and cleared', async () => {
  await iommud('machine', 'create', '--name', 'lab');
  const armed = await iommud('fault', 'arm', 'lab', 'never-ready', '--function', '00:04.0', '--first', '2', '--count', '0');
  expect(armed).toEqual({ code: 0, err: '', out: 'armed 1\n' });
  const stalls = await iommud('fault', 'arm', 'lab', 'memory-stalls', ...MEMORY, '--delay', '2', '--until', '7', '--json');
  expect(JSON.parse(stalls.out)).toEqual({ armed: 2 });
  expect((await iommud('machine', 'show', 'lab')).out).toContain('armed 1: 00:04.0 never-ready: acted 0, passes 1 more, without end\n');
  expect((await iommud('fault', 'list', 'lab')).out).toContain(
    '2  any function memory-stalls 0x100000+0x1000 by 2000000 ns until 7000000 ns: acted 0, 1 left\n',
  );
  expect(JSON.parse((await iommud('fault', 'list', 'lab', '--json')).out)).toMatchObject([{ armed: 1 }, { armed: 2, address: '0x100000' }]);
  expect((await iommud('fault', 'clear', 'lab', '2')).out).toBe('cleared 2\n');
  expect((await iommud('fault', 'clear', 'lab')).out).toBe('cleared 1\n');
  expect((await iommud('fault', 'list', 'lab')).out).toBe('nothing is armed\n');
  expect(await iommud('fault', 'clear', 'lab', '2')).toMatchObject({ code: 4 });
});

test.each([
  [2, ['memory-stalls']],
  [2, ['never-ready']],
  [2, ['memory-stalls', ...MEMORY, '--delay', 'soon']],
  [4, ['no-such', '--function', '00:04.0']],
  [4, ['never-ready', '--function', '00:09.0']],
  [4, ['memory-stalls', '--address', '0', '--bytes', '0']],
])('what cannot be armed ends with %i: %j', async (code, args) => {
  const name = `lab-${args.join('-').length}-${code}`;
  await iommud('machine', 'create', '--name', name);
  expect((await iommud('fault', 'arm', name, ...args)).code).toBe(code);
});
