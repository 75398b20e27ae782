import { spawn } from 'node:child_process';
/** `iommud record` and `replay`, as they are typed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readTimeline } from '../kit/timeline-schema.ts';
import { iommud, serviceForCommands } from './cli-here.ts';
import { CLI, TIMEOUT_MS, environment, run, type Ended } from './cli-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommud-record-'));
const server = serviceForCommands();
afterAll(() => rmSync(folder, { recursive: true }));

/** `iommud record` in a process of its own, once it records. */
async function recording(...args: readonly string[]): Promise<{ interrupt: () => void; ended: Promise<Ended> }> {
  const child = spawn(process.execPath, [...CLI, 'record', ...args], { env: environment({ IOMMUD_URL: server.url }) });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
      if (err.includes('Ctrl-C ends it')) resolve();
    });
    child.on('close', () => reject(new Error(`ended before it recorded: ${err}`)));
  });
  return { interrupt: () => child.kill('SIGINT'), ended };
}

it(
  'records until Ctrl-C, and replays without the service',
  async () => {
    const file = join(folder, 'lab.iommurec');
    await iommud('machine', 'create', '--name', 'lab');
    const { interrupt, ended } = await recording('lab', '-o', file);
    await iommud('reset', 'lab', '00:02.0');
    interrupt();
    const { code, out } = await ended;
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^lab recorded to .*lab\.iommurec: \d+ inputs, \d+ bytes, trace hash [0-9a-f]{16}; ended: asked to\n$/),
    ]);
    const hash = /trace hash (\w+)/.exec(out)?.[1];

    const replayed = await run([...CLI, 'replay', file], { IOMMUD_URL: 'http://127.0.0.1:9' });
    expect(replayed).toMatchObject({ code: 0, err: '' });
    expect(replayed.out).toMatch(new RegExp(`inputs and \\d+ outputs up to 100000000 ns are the same; trace hash ${hash}\n$`));
    expect(JSON.parse((await iommud('replay', file, '--json')).out)).toMatchObject({
      machine: 'lab',
      behaviour: 'strict',
      traceHash: hash,
      nowNs: 100_000_000,
    });
  },
  TIMEOUT_MS,
);

it(
  'ends after a time, with the machine, and on a full standard output nothing else is printed',
  async () => {
    await iommud('machine', 'create', '--name', 'short');
    const file = join(folder, 'short.iommurec');
    const timed = await iommud('record', 'short', '-o', file, '--seconds', '0.05');
    expect(timed).toMatchObject({ code: 0, out: expect.stringContaining('0 inputs') as string });
    const { ended } = await recording('short', '-o', '-');
    await iommud('machine', 'delete', 'short');
    const { code, out } = await ended;
    writeFileSync(file, Buffer.from(out, 'latin1'));
    expect(code).toBe(0);
    expect(await iommud('replay', file)).toMatchObject({ code: 0, out: expect.stringContaining('0 inputs and 0 outputs') as string });
  },
  TIMEOUT_MS,
);

it('says what is wrong with a file, a machine, a place to write, a time', async () => {
  const file = join(folder, 'bad.iommurec');
  await iommud('machine', 'create', '--name', 'bad');
  await iommud('record', 'bad', '-o', file, '--seconds', '0.05');
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, -9));
  expect(await iommud('replay', file)).toMatchObject({
    code: 4,
    err: expect.stringContaining(`cut off at byte ${bytes.length - 9}`) as string,
  });
  expect(await iommud('replay', file, '--partial')).toMatchObject({ code: 0 });
  bytes[40]! ^= 1;
  writeFileSync(file, bytes);
  expect(await iommud('replay', file)).toMatchObject({
    code: 4,
    err: expect.stringMatching(/damaged between bytes \d+ and \d+/) as string,
  });
  expect(await iommud('replay', join(folder, 'none'))).toMatchObject({ code: 2, err: expect.stringContaining('cannot read') as string });
  expect(await iommud('record', 'nobody', '-o', file)).toMatchObject({ code: 4, err: expect.stringContaining('ENODEV') as string });
  expect(await iommud('record', 'bad', '-o', join(folder, 'no', 'such'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('cannot write') as string,
  });
  expect(await iommud('record', 'bad', '-o', file, '--seconds', '-1')).toMatchObject({ code: 2 });
  expect(await iommud('record', 'bad', '-o', file, '--url', 'http://127.0.0.1:9')).toMatchObject({ code: 3 });
});

it(
  'makes a timeline of a recording, and of a machine while it runs',
  async () => {
    await iommud('machine', 'create', '--name', 'timed');
    const file = join(folder, 'timed.iommurec');
    const { interrupt, ended } = await recording('timed', '-o', file);
    await iommud('reset', 'timed', '00:02.0');
    interrupt();
    await ended;
    const path = join(folder, 'timed.json');
    expect(await iommud('trace', file, '--format', 'perfetto', '-o', path)).toMatchObject({
      code: 0,
      out: expect.stringContaining('ui.perfetto.dev') as string,
    });
    const { slices } = readTimeline(readFileSync(path, 'utf8'));
    const tracks = slices.map(({ process, track, name }) => `${process} | ${track} | ${name}`);
    expect(tracks).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^peer 1 iommud-client .* \| call \| resetFunction$/),
        expect.stringMatching(/^00:02\.0 dma-probe .* \| reset window \| blocked$/),
        expect.stringMatching(/^00:02\.0 dma-probe .* \| reset \| flr-time$/),
        expect.stringMatching(/^00:02\.0 dma-probe .* \| invalidation \| ITag 0: everything$/),
      ]),
    );
    expect(slices.find(({ name }) => name === 'resetFunction')).toMatchObject({ fromUs: 0, toUs: 100_000 });

    expect(await iommud('trace', 'timed', '--format', 'perfetto', '-o', path, '--seconds', '0.05')).toMatchObject({ code: 0 });
    expect(readTimeline(readFileSync(path, 'utf8')).slices).toEqual([]);
    const live = join(folder, 'timed.pcapng');
    expect(await iommud('trace', 'timed', '--format', 'pcapng', '-o', live, '--seconds', '0.05')).toMatchObject({
      code: 0,
      out: expect.stringContaining('tshark -X lua_script:') as string,
    });
    expect(readFileSync(live).readUInt32LE(0)).toBe(0x0a0d_0d0a);
    expect(await iommud('trace', 'timed', '--format', 'pcap', '-o', path)).toMatchObject({ code: 2 });
    expect(await iommud('trace', join(folder, 'none.iommurec'), '--format', 'pcapng', '-o', path)).toMatchObject({
      code: 2,
      err: expect.stringContaining('there is no file') as string,
    });
  },
  TIMEOUT_MS,
);
