import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { onMachine, startMachine, type TestMachine, type TestOptions } from '../../../../client/testing/index.ts';
import { playRecording, startServer, type RunningServer } from '../../../../server/src/app/index.ts';

const root = mkdtempSync(join(tmpdir(), 'iommud-artifacts-'));
let server: RunningServer;
let folder: string;
beforeAll(async () => {
  server = await startServer({ port: 0, logLevel: 'silent' });
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(root, 'run-'));
});

/** A test that runs, and what it printed. */
async function ran(
  act: (m: TestMachine) => unknown,
  options: TestOptions = {},
  context?: unknown,
): Promise<{ error: unknown; said: string }> {
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const error = await onMachine(
      { url: server.url, seed: 5, artifacts: folder, ...options },
      act,
    )(context).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return { error, said: stderr.mock.calls.map(([text]) => String(text)).join('') };
  } finally {
    stderr.mockRestore();
  }
}

async function rogue(m: TestMachine): Promise<void> {
  await m.function('00:02.0').faults.arm('ignore-invalidations');
  await m.function('00:02.0').model.write(0x1_1000, 'rogue');
  throw new Error('lands nowhere');
}

describe('a red test', () => {
  it('leaves a recording that replays, the faults, and the seed, and says how to run it again', async () => {
    const { error, said } = await ran(rogue, {}, { task: { name: 'a rogue write: lands nowhere' } });
    expect(error).toMatchObject({ message: 'lands nowhere' });
    const name = 'a-rogue-write-lands-nowhere';
    expect(readdirSync(folder)).toEqual([name]);
    const left = join(folder, name);
    expect(readdirSync(left).toSorted()).toEqual([`${name}.iommurec`, 'faults.json', 'machine.json']);
    expect(said).toContain(`iommud: reproduce: iommud replay ${join(left, `${name}.iommurec`)}\n`);

    const played = playRecording(readFileSync(join(left, `${name}.iommurec`)));
    expect(played).toMatchObject({
      difference: undefined,
      recording: { start: { seed: 5, state: undefined }, end: { reason: 'asked to' } },
    });
    const faults = JSON.parse(readFileSync(join(left, 'faults.json'), 'utf8')) as {
      records: { records: { iova: string }[] };
      armed: unknown[];
    };
    expect(faults.records.records).toMatchObject([{ iova: '0x11000', cause: 'not-present' }]);
    expect(faults.armed).toHaveLength(1);
    expect(JSON.parse(readFileSync(join(left, 'machine.json'), 'utf8'))).toMatchObject({
      seed: 5,
      error: 'lands nowhere',
      test: 'a rogue write: lands nowhere',
    });
  });

  it.each([
    ['Vitest', { task: { name: 'x/../y' } }, 'x-..-y'],
    ['node:test', { name: 'inner', fullName: 'outer > inner' }, 'outer-inner'],
    ['Mocha', { test: { title: '  mocha  ' } }, 'mocha'],
  ])('is called as %s calls it', async (_runner, context, name) => {
    await ran(rogue, {}, context);
    expect(readdirSync(folder)).toEqual([name]);
  });

  it('is called as its options say, or as its machine, and never leaves the folder', async () => {
    await ran(rogue, { test: 'mine' }, { task: { name: 'theirs' } });
    await ran(rogue, { test: '../../..' });
    await ran(rogue);
    expect(readdirSync(folder).toSorted()).toEqual([expect.stringMatching(/^m-/), expect.stringMatching(/^m-/), 'mine']);
  });

  it('whose machine has been deleted leaves what there is', async () => {
    const { error, said } = await ran(
      async (m) => {
        await fetch(`${m.serviceUrl}/v1/machines/${m.id}`, { method: 'DELETE' });
        throw new Error('gone');
      },
      { test: 'gone' },
    );
    expect(error).toMatchObject({ message: 'gone' });
    expect(readdirSync(join(folder, 'gone'))).toContain('gone.iommurec');
    expect(said).toMatch(/missing: faults\.json/);
  });

  it('says where nothing can be left, and throws its own error', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { error, said } = await ran(rogue, { artifacts: file, test: 'x' });
    expect(error).toMatchObject({ message: 'lands nowhere' });
    expect(said).toContain('nothing could be left in');
  });
});

describe('a test', () => {
  it('that is green leaves nothing, and its machine is gone', async () => {
    const { error, said } = await ran(async (m) => m.info());
    expect([error, said, readdirSync(folder)]).toEqual([undefined, '', []]);
    const { machines } = (await (await fetch(`${server.url}/v1/machines`)).json()) as { machines: unknown[] };
    expect(machines).toEqual([]);
  });

  it('records where IOMMUD_ARTIFACTS says so, and nowhere without it', async () => {
    vi.stubEnv('IOMMUD_ARTIFACTS', folder);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { artifacts: _artifacts, ...options } = { url: server.url, test: 'by-variable', artifacts: '' };
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    await expect(onMachine(options, rogue)()).rejects.toThrow('lands nowhere');
    stderr.mockRestore();
    expect(readdirSync(folder)).toEqual(['by-variable']);
    const { said } = await ran(rogue, { artifacts: '', test: 'none' });
    expect([said, readdirSync(folder)]).toEqual(['', ['by-variable']]);
  });

  it('has no recording of a machine that was started without', async () => {
    await using m = await startMachine({ url: server.url });
    await expect(m.endRecording()).rejects.toMatchObject({ code: 'EINVAL', about: 'recorded' });
    await using other = await startMachine({ url: server.url, recorded: true });
    const file = await other.endRecording();
    expect(Buffer.compare(Buffer.from(await other.endRecording()), Buffer.from(file))).toBe(0);
    expect(playRecording(file).difference).toBeUndefined();
  });
});
