/** `iommud function` and `iommud reset` from a shell: functions that come and go, and every way to ask for a reset. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { connect, type Machine } from '../../client/src/index.ts';
import { startServer, type RunningServer } from '../../server/src/app/index.ts';
import { iommud } from './cli-here.ts';

const TOPOLOGY = `
schema: iommud.topology/v1
functions:
  - { address: "00:02.0", model: dma-probe, reset: { acpi: fails }, capabilities: { af: true } }
  - address: "00:1c.0"
    model: root-port
    slot: { memory: 4MiB, buses: 2 }
    capabilities: { slot: { number: 3 } }
    children:
      - { address: "00.0", model: dma-probe }
      - { address: "00.1", model: dma-probe, reset: { noFlr: true }, capabilities: { pm: { noSoftReset: false } } }
  - { address: "00:1d.0", model: root-port, slot: {} }
`;

let server: RunningServer;
let folder: string;
let made = 0;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'iommud-function-'));
  server = await startServer({ port: 0, logLevel: 'error', tokens: [{ token: 'sesame', roles: ['host', 'observer'], machines: ['*'] }] });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  vi.stubEnv('IOMMUD_URL', server.url);
  vi.stubEnv('IOMMUD_TOKEN', 'sesame');
  onTestFinished(() => void vi.unstubAllEnvs());
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function make(name: string, ...args: readonly string[]): Promise<{ readonly socketUrl: string }> {
  const { code, out, err } = await iommud('machine', 'create', '--topology', file(name, TOPOLOGY), '--name', name, '--json', ...args);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as { socketUrl: string };
}

async function good(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await iommud(...args);
  expect([code, err]).toEqual([0, '']);
  return out;
}

async function there(name: string): Promise<readonly string[]> {
  const { functions } = JSON.parse(await good('machine', 'show', name, '--json')) as { functions: { function: string }[] };
  return functions.map((one) => one.function);
}

/** A host of the machine, for what no command does. */
async function hosted(socketUrl: string): Promise<Machine> {
  const connection = await connect(socketUrl, { token: 'sesame' });
  onTestFinished(() => connection.close());
  return connection.machine;
}

describe('iommud function', () => {
  test('one comes into a slot by its address and model, and is taken out', async () => {
    await make('slot');
    expect(await good('function', 'plug', 'slot', '--port', '00:1d.0', '--address', '00.0')).toBe(
      "plugged in 04:00.0 in 100 ms of the machine's clock\n",
    );
    expect(await good('machine', 'show', 'slot')).toMatch(/^04:00\.0 +dma-probe /m);
    expect(await good('function', 'unplug', 'slot', '04:00.0', '--deadline', '5')).toMatch(
      /^took out 04:00\.0 in 0 ms of the machine's clock\n {2}in flight: 0 ended, 0 aborted\n {2}invalidations: \d+ completed, 0 timed out\n$/,
    );
    expect(await there('slot')).not.toContain('04:00.0');
  });

  test('several come from a file onto the root bus, as JSON says', async () => {
    await make('several');
    const list = file('several.yaml', 'functions:\n  - { address: "00:06.0", model: edu }\n  - { address: "00:07.0", model: remote }\n');
    expect(JSON.parse(await good('function', 'plug', 'several', list, '--json'))).toEqual({
      functions: ['00:06.0', '00:07.0'],
      elapsedMs: 100,
    });
    expect(await good('machine', 'show', 'several')).toMatch(/^00:06\.0 +edu .*\n00:07\.0 +remote /m);
  });

  test('one is pulled out in the middle of its DMA; of a port what is below it goes', async () => {
    const { socketUrl } = await make('pulled');
    const m = await hosted(socketUrl);
    const dev = m.function('01:00.0');
    const { address } = await m.memory.alloc(4096);
    await dev.dma.map({ iova: 0x1000, address, bytes: 4096, access: 'rw' });
    const write = dev.model.write(0x1000, 'held', { hold: 'translated' });
    const out = JSON.parse(await good('function', 'unplug', 'pulled', '00:1c.0', '--surprise', '--json')) as object;
    expect(out).toMatchObject({ functions: ['01:00.0', '01:00.1'], drained: 0, aborted: 1 });
    expect(await write).toMatchObject({ outcome: 'aborted' });
    expect(await there('pulled')).toEqual(['00:02.0', '00:1c.0', '00:1d.0']);
  });

  test.each([
    [2, ['plug', 'NAME']],
    [2, ['plug', 'NAME', 'FILE', '--model', 'edu']],
    [2, ['plug', 'NAME', '/no/such/file']],
    [2, ['plug', 'NAME', '--model', 'edu']],
    [2, ['unplug', 'NAME', '01:00.0', '--deadline', 'soon']],
    [2, ['unplug', 'NAME', '01:00.0', '--deadline', '5', '--surprise']],
    [4, ['plug', 'NAME', '--address', '00:02.0']],
    [4, ['plug', 'NAME', '--address', '00.0', '--port', '00:02.0']],
    [4, ['plug', 'NAME', '--address', '00:09.0', '--model', 'toaster']],
    [4, ['unplug', 'NAME', '00:09.0']],
    [4, ['unplug', 'nobody', '00:02.0']],
  ])('what cannot be is %i, and nothing has come or gone: %j', async (code, args) => {
    const name = `bad-${++made}`;
    await make(name);
    const before = await there(name);
    const list = file('bad.yaml', 'functions: [{ address: "00:06.0", model: edu }]\n');
    const ended = await iommud('function', ...args.map((arg) => (arg === 'NAME' ? name : arg === 'FILE' ? list : arg)));
    expect(ended).toMatchObject({ code, out: '' });
    expect(ended.err).not.toBe('');
    expect(await there(name)).toEqual(before);
  });
});

describe('iommud reset', () => {
  test('--methods lists what is enabled, --set-methods changes it, and a reset goes by it', async () => {
    await make('methods');
    expect(await good('reset', 'methods', '00:02.0', '--methods')).toBe('acpi flr af_flr\n');
    expect(await good('reset', 'methods', '00:02.0')).toMatch(/^00:02\.0 was reset by flr in .*\n {2}acpi before it: ENOTTY\n/);
    expect(await good('reset', 'methods', '00:02.0', '--set-methods', 'af_flr flr')).toBe('af_flr flr\n');
    expect(JSON.parse(await good('reset', 'methods', '00:02.0', '--methods', '--json'))).toEqual({
      function: '00:02.0',
      methods: ['af_flr', 'flr'],
    });
    expect(await good('reset', 'methods', '00:02.0')).toMatch(/^00:02\.0 was reset by af_flr /);
    expect(await good('reset', 'methods', '00:02.0', '--set-methods', '')).toMatch(/^none\n.*disabled by user\n$/);
    expect(await iommud('reset', 'methods', '00:02.0')).toMatchObject({ code: 4, err: expect.stringContaining('ENOTTY') as string });
    expect(await good('reset', 'methods', '00:02.0', '--set-methods', 'default')).toBe('acpi flr af_flr\n');
  });

  test('--set-methods with what it cannot be is 4, and what was enabled stays', async () => {
    await make('unsupported');
    for (const names of ['pm', 'flr kick']) {
      expect(await iommud('reset', 'unsupported', '00:02.0', '--set-methods', names)).toMatchObject({
        code: 4,
        out: '',
        err: expect.stringContaining('EINVAL') as string,
      });
    }
    expect(await good('reset', 'unsupported', '00:02.0', '--methods')).toBe('acpi flr af_flr\n');
  });

  test('--bus resets all below a bridge, and needs one', async () => {
    await make('bus');
    expect(await good('reset', 'bus', '00:1c.0', '--bus')).toBe(
      "below 00:1c.0 01:00.0, 01:00.1 were reset in 122 ms of the machine's clock\n" +
        '  drain: 0 ended, 0 aborted, 0 indeterminate\n  fence: 2 invalidations completed, 0 timed out\n',
    );
    await make('linux-bus', '--behaviour', 'linux-7.1');
    expect(await good('reset', 'linux-bus', '00:1c.0', '--bus')).toMatch(/\n {2}no window: Linux opens none for a whole bus\n$/);
    expect(JSON.parse(await good('reset', 'bus', '00:1c.0', '--bus', '--json'))).toMatchObject({ bridge: '00:1c.0', elapsedMs: 122 });
    expect(await iommud('reset', 'bus', '00:02.0', '--bus')).toMatchObject({
      code: 4,
      err: expect.stringContaining('no bridge') as string,
    });
    expect(await iommud('reset', 'bus', '00:1c.0', '--bus', '--method', 'flr')).toMatchObject({ code: 2 });
  });

  test('--slot does the same where the bridge has a hot-plug slot; --cold takes the power, and asks nobody', async () => {
    const { socketUrl } = await make('power');
    const m = await hosted(socketUrl);
    expect(await good('reset', 'power', '00:1c.0', '--slot')).toContain("were reset in 122 ms of the machine's clock");
    expect(await iommud('reset', 'power', '00:02.0', '--slot')).toMatchObject({ code: 4 });
    expect((await m.function('01:00.0').info()).busMaster).toBe(true);
    expect(await good('reset', 'power', '00:1c.0', '--cold')).toBe(
      'below 00:1c.0 power went off and on; what was there is to be set up anew\n',
    );
    expect((await m.function('01:00.0').info()).busMaster).toBe(false);
    expect(await iommud('reset', 'power', '01:00.0', '--cold')).toMatchObject({
      code: 4,
      err: expect.stringContaining('no bridge') as string,
    });
    for (const also of ['--bus', '--slot', '--without-prepare'])
      expect(await iommud('reset', 'power', '00:1c.0', '--cold', also)).toMatchObject({ code: 2 });
  });

  test('--try is EAGAIN while another reset is at work, also for a whole bus', async () => {
    const { socketUrl } = await make('try', '--clock', 'manual');
    const m = await hosted(socketUrl);
    const first = m.function('01:00.0').reset({ method: 'flr', deadlineMs: 0 });
    await m.info();
    for (const args of [['01:00.0'], ['01:00.1'], ['00:1c.0', '--bus']]) {
      const { code, err } = await iommud('reset', 'try', ...args, '--try');
      expect([code, err]).toEqual([4, expect.stringContaining('EAGAIN')]);
    }
    await m.clock.advance({ ms: 100 });
    expect(await first).toMatchObject({ method: 'flr' });
  });
});
