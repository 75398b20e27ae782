/** The command `iommud` as people and scripts meet it: what it prints, and how it ends. Most run in this process, which is quicker. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { iommud } from './cli-here.ts';
import { CLI, ROOT, TIMEOUT_MS, environment, run } from './cli-process.ts';

const FIXTURE = join(ROOT, 'test/fixtures/lspci/capability-loop.lspci');

const folder = mkdtempSync(join(tmpdir(), 'iommud-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  for (const name of ['IOMMUD_URL', 'IOMMUD_TOKEN', 'IOMMUD_LISTEN']) vi.stubEnv(name, undefined);
  onTestFinished(() => void vi.unstubAllEnvs());
});

/** An address where something else answers, by HTTP or by closing. */
async function elsewhere(answer: (socket: Socket) => void): Promise<string> {
  const other = createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await new Promise((resolve) => {
    other.once('listening', resolve);
  });
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
}

const says = (status: string, body: string) => (socket: Socket) =>
  socket.once('data', () => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`));

describe('something that is no iommud', () => {
  test.each([
    ['a page', says('200 OK', '<html>hello</html>'), 'is not an iommud service (HTTP 200'],
    ['an object of something else', says('200 OK', '{}'), 'is not an iommud service (HTTP 200'],
    ['a page that is not there', says('404 Not Found', 'File not found'), 'is not an iommud service (HTTP 404'],
    ['a connection that is taken and closed', (socket: Socket) => socket.end(), 'no service at'],
    ['a connection that is cut', (socket: Socket) => socket.destroy(), 'no service at'],
    [
      'an answer that breaks off',
      (socket: Socket) =>
        socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"m', () => socket.destroy())),
      'broke off',
    ],
  ])('%s is 3 and one line', async (_what, answer, words) => {
    const url = await elsewhere(answer);
    const { code, err } = await iommud('machine', 'list', '--url', url);
    expect([code, err.trim().split('\n')]).toEqual([3, [expect.stringContaining(words)]]);
    expect(err).toContain(url);
  });
});

describe('commands against a service', () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ port: 0, logLevel: 'error', tokens: [{ token: 'sesame', roles: ['host', 'observer'], machines: ['*'] }] });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    vi.stubEnv('IOMMUD_URL', server.url);
    vi.stubEnv('IOMMUD_TOKEN', 'sesame');
  });

  test.each([
    ['http://user:secret@127.0.0.1:1', 'sesame', 'no user'],
    ['ftp://user:secret@127.0.0.1', 'sesame', 'what was given is no address'],
    ['http://user:secret@127.0.0.1:bad', 'sesame', 'what was given is no address'],
    ['http://127.0.0.1:1/?a=b', 'sesame', 'no user, query or fragment'],
    ['http://127.0.0.1:1', 'two\nsecret lines', 'IOMMUD_TOKEN has characters'],
    ['http://127.0.0.1:1', '日本secret', 'IOMMUD_TOKEN has characters'],
  ])('an address or a token that cannot be is 2, and no secret is printed: %s', async (url, token, words) => {
    vi.stubEnv('IOMMUD_TOKEN', token);
    const { code, err } = await iommud('machine', 'list', '--url', url);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(err).not.toContain('secret');
  });

  test.each(['', '.', '..'])("'%s' is no name of a machine: 2, and nothing is asked", async (name) => {
    for (const command of [['machine', 'show'], ['machine', 'delete'], ['lspci'], ['reset']]) {
      const { code, err } = await iommud(...command, name, ...(command[0] === 'reset' ? ['00:02.0'] : []));
      expect([code, err]).toEqual([2, `iommud: '${name}' is no name of a machine\n`]);
    }
  });

  test('a machine is made, listed, shown, reset, dumped and deleted', async () => {
    const made = await iommud(
      'machine',
      'create',
      '--name',
      'lab',
      '--seed',
      '7',
      '--behaviour',
      'linux-7.1',
      '--clock',
      'auto',
      '--label',
      'team=x',
    );
    expect(made).toMatchObject({ code: 0, err: '' });
    const [id] = made.out.split(' ');
    expect(made.out).toBe(`${id}  lab  4 functions  ${server.url.replace('http', 'ws')}/v1/machines/${id}/socket\n`);

    const list = await iommud('machine', 'list');
    const listJson = await iommud('machine', 'list', '--json', '--label', 'team=x');
    const show = await iommud('machine', 'show', 'lab');
    const showJson = await iommud('machine', 'show', String(id), '--json');
    const plain = await iommud('lspci', 'lab');
    const hex = await iommud('lspci', 'lab', '-xxx');
    const reset = await iommud('reset', 'lab', '00:02.0', '--without-prepare', '--json');
    expect(list.out.split('\n')[0]).toMatch(/^ID +NAME +SOURCE +FUNCTIONS +SESSIONS +CREATED$/);
    expect(list.out).toMatch(new RegExp(`^${id} +lab +preset basic +4 `, 'm'));
    expect(JSON.parse(listJson.out)).toMatchObject([{ id, name: 'lab', labels: { team: 'x' } }]);
    expect(show.out).toContain('linux-7.1, clock auto, seed 7, with IOMMU');
    expect(show.out).toMatch(/^00:02\.0 +dma-probe +1 +yes +up +0 /m);
    expect(JSON.parse(showJson.out)).toMatchObject({
      id,
      seed: 7,
      functions: [{ function: '00:00.0' }, { function: '00:02.0' }, { function: '00:03.0' }, { function: '00:04.0' }],
    });
    expect(plain.out).toMatch(/^00:00\.0 .*\n00:02\.0 .*dma-probe.*\n00:03\.0 .*edu.*\n00:04\.0 .*\n$/);
    expect(hex.out).toMatch(/^00:02\.0 .*\n00: 34 12 d0 11 /m);
    expect(hex.out).toMatch(/^f0: /m);
    expect(hex.out).not.toMatch(/^100: /m);
    expect(reset.code).toBe(0);
    expect(JSON.parse(reset.out)).toMatchObject({ function: '00:02.0', method: 'flr', elapsedMs: 100, skipped: true });

    const whole = await iommud('reset', 'lab', '00:02.0', '--deadline', '5');
    expect(whole).toMatchObject({ code: 0, err: '' });
    expect(whole.out).toMatch(
      /^00:02\.0 was reset by flr in 100 ms of the machine's clock\n {2}drain: 0 ended, 0 aborted, 0 indeterminate\n/,
    );
    expect(await iommud('machine', 'delete', 'lab')).toEqual({ code: 0, out: '', err: '' });
    expect(await iommud('machine', 'show', 'lab')).toEqual({ code: 4, out: '', err: "iommud: ENODEV: there is no machine 'lab'\n" });
  });

  test('a dump goes in, and -xxxx gives the same bytes back', async () => {
    const made = await iommud('machine', 'create', '--lspci', FIXTURE, '--json');
    expect(made.code).toBe(0);
    expect(made.err).toMatch(/^iommud: warning: 02:00\.0: the capability chain loops/);
    const { id } = JSON.parse(made.out) as { id: string };
    const dumped = await iommud('lspci', id, '-xxxx');
    expect(dumped.code).toBe(0);
    const rows = (text: string) => text.split('\n').filter((line) => /^[0-9a-f]{2,3}: /.test(line));
    expect(rows(dumped.out)).toEqual(rows(readFileSync(FIXTURE, 'utf8')));
  });

  test('a dump and a topology come from standard input too', async () => {
    const env = { IOMMUD_URL: server.url, IOMMUD_TOKEN: 'sesame' };
    const topology = 'schema: iommud.topology/v1\nfunctions:\n  - { address: "00:07.0", model: dma-probe }\n';
    const [a, b] = await Promise.all([
      run([...CLI, 'machine', 'create', '--lspci', '-'], env, readFileSync(FIXTURE, 'utf8')),
      run([...CLI, 'machine', 'create', '--topology', '-', '--json'], env, topology),
    ]);
    expect(a.code).toBe(0);
    expect(JSON.parse(b.out)).toMatchObject({ source: 'topology', functions: 1 });
  });

  test('what the service refuses ends with 4 and its code', async () => {
    const broken = join(folder, 'broken.yaml');
    writeFileSync(broken, 'schema: iommud.topology/v1\nfunctions:\n  - model: dma-probe\n    address: 00:02\n');
    expect((await iommud('machine', 'create', '--name', 'twice')).code).toBe(0);
    const refused = async (code: string, ...args: readonly string[]) => {
      const ended = await iommud(...args);
      expect(ended).toMatchObject({ code: 4, out: '' });
      expect(ended.err.startsWith(`iommud: ${code}: `) || ended.err).toBe(true);
      return ended.err;
    };
    await refused('EEXIST', 'machine', 'create', '--name', 'twice');
    expect(await refused('EINVAL', 'machine', 'create', '--topology', broken)).toContain('line 4: ');
    await refused('EINVAL', 'machine', 'create', '--preset', 'huge');
    await refused('ENODEV', 'reset', 'twice', '00:09.0');
    await refused('ENOTTY', 'reset', 'twice', '00:02.0', '--method', 'pm');
    await refused('EINVAL', 'reset', 'twice', '00:02.0', '--method', 'kick');
    await refused('ENODEV', 'lspci', 'nobody');
    for (const token of [undefined, 'wrong']) {
      vi.stubEnv('IOMMUD_TOKEN', token);
      await refused('EPERM', 'machine', 'list');
    }
  });
});

describe('commands without a service', () => {
  test('no service there is 3, and says what to do', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => {
      free.once('listening', resolve);
    });
    const url = `http://127.0.0.1:${(free.address() as AddressInfo).port}`;
    await new Promise((resolve) => {
      free.close(resolve);
    });
    const line = `iommud: no service at ${url} (ECONNREFUSED); start one with 'iommud serve'\n`;
    for (const command of [
      ['machine', 'list'],
      ['lspci', 'lab'],
      ['reset', 'lab', '00:02.0'],
    ]) {
      for (const address of [url, `${url}/`, url.replace('http', 'ws')]) {
        expect(await iommud(...command, '--url', address)).toEqual({ code: 3, out: '', err: line });
      }
    }
    expect(await run([...CLI, 'machine', 'list', '--url', url])).toEqual({ code: 3, out: '', err: line });
  });

  test.each([
    ['no command', []],
    ['an unknown command', ['frobnicate']],
    ['an unknown option', ['machine', 'list', '--frob']],
    ['a missing argument', ['machine', 'show']],
    ['two sources', ['machine', 'create', '--lspci', FIXTURE, '--preset', 'basic']],
    ['a seed that is text', ['machine', 'create', '--seed', 'seven']],
    ['a deadline that is text', ['reset', 'lab', '00:02.0', '--deadline', 'soon']],
    ['an unknown on-deadline', ['reset', 'lab', '00:02.0', '--on-deadline', 'wait']],
    ['a file that is not there', ['machine', 'create', '--lspci', '/no/such/file']],
    ['-xx', ['lspci', 'lab', '-xx']],
    ['an address that is none', ['machine', 'list', '--url', 'here']],
  ])('%s is wrong usage: 2', async (_what, args) => {
    const { code, out, err } = await iommud(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
    expect(err).not.toContain('    at ');
  });

  test('--help and --version are good', async () => {
    const help = await iommud('--help');
    const version = await iommud('--version');
    expect(help).toMatchObject({ code: 0, err: '' });
    for (const command of ['serve', 'machine', 'lspci', 'reset', 'function', 'topology', 'demo'])
      expect(help.out).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string });
  });

  test('topology: what init prints is what check takes; schema is a JSON Schema', async () => {
    const init = await iommud('topology', 'init', '--preset', 'switch');
    const json = await iommud('topology', 'init', '--json');
    const schema = await iommud('topology', 'schema');
    expect([init.code, json.code, schema.code]).toEqual([0, 0, 0]);
    expect(JSON.parse(schema.out)).toMatchObject({ type: 'object', title: 'iommud topology' });
    const good = join(folder, 'good.yaml');
    writeFileSync(good, init.out);
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, init.out.replace('model: upstream-port', 'model: upstream'));
    const basic = join(folder, 'basic.json');
    writeFileSync(basic, json.out);
    const checked = await iommud('topology', 'check', good);
    const fromJson = await iommud('topology', 'check', basic, '--json');
    const failed = await iommud('topology', 'check', bad);
    const failedJson = await iommud('topology', 'check', bad, '--json');
    const unknown = await iommud('topology', 'init', '--preset', 'huge');
    expect(checked).toMatchObject({ code: 0, err: '' });
    expect(checked.out).toMatch(/^ +03:00\.0 {2}dma-probe/m);
    expect(JSON.parse(fromJson.out)).toEqual({ valid: true, name: 'basic', functions: 4 });
    expect(failed).toMatchObject({ code: 1, out: '' });
    expect(failed.err).toMatch(/^iommud: .*bad\.yaml: line \d+: /);
    expect(failedJson.code).toBe(1);
    expect(JSON.parse(failedJson.out)).toMatchObject({ valid: false, code: 'EINVAL' });
    expect(unknown).toMatchObject({ code: 2, out: '', err: expect.stringContaining('there is no preset "huge"') as string });
  });

  test('output that nobody reads on is no error; a full disk is', { timeout: TIMEOUT_MS }, () => {
    const sh = (command: string) =>
      spawnSync('bash', ['-c', command], { cwd: ROOT, env: environment({}), encoding: 'utf8', timeout: 60_000 });
    const piped = sh(`set -o pipefail; "${process.execPath}" ${CLI.join(' ')} topology schema | true`);
    expect({ status: piped.status, stderr: piped.stderr }).toEqual({ status: 0, stderr: '' });
    // A verdict that failed is one, whoever reads it.
    const wrong = join(folder, 'wrong.json');
    writeFileSync(wrong, JSON.stringify({ schema: 'iommud.topology/v1', functions: 'none' }));
    const unread = sh(`"${process.execPath}" ${CLI.join(' ')} topology check "${wrong}" --json | true; exit \${PIPESTATUS[0]}`);
    expect(unread.status).toBe(1);
    // Where there is no /dev/full, the device of Linux that answers every write with ENOSPC, the rest of this cannot be seen.
    if (!existsSync('/dev/full')) return;
    const full = sh(`"${process.execPath}" ${CLI.join(' ')} topology schema > /dev/full`);
    expect(full.status).toBe(1);
    expect(full.stderr).toContain('cannot write to standard output: ENOSPC');
  });
});
