/**
 * A dump becomes a machine on a real service, all of its configuration space is read over the websocket and written as a dump again: Debian's
 * `lspci -F` prints the same for both, at `-vvv`, for every function.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type Machine } from '../../client/src/index.ts';
import { lspciText, startServer, type RunningServer } from '../../server/src/app/index.ts';

const OWN = fileURLToPath(new URL('../fixtures/lspci', import.meta.url));
const DATA = process.env['IOMMUD_DATA'];
const installed = spawnSync('lspci', ['--version']).status === 0;

function dumpsIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.lspci'))
    .map((name) => join(folder, name));
}

function lspci(file: string, ...options: readonly string[]): string {
  const run = spawnSync('lspci', ['-F', file, '-D', ...options], { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 60_000 });
  if (run.status !== 0) throw new Error(`lspci -F ${file} ${options.join(' ')} ended with ${run.status}: ${run.stderr}`);
  return run.stdout;
}

/** The whole machine as a dump, read over its socket. */
async function dump(machine: Machine): Promise<string> {
  const functions = await machine.functions();
  const read = functions.map(async ({ function: at, label, configBytes }) => ({
    function: at,
    label,
    config: await machine.function(at).config.readBytes(0, configBytes),
  }));
  return lspciText(await Promise.all(read), { hex: 'xxxx', domains: false });
}

// lspci is the judge here: without it there is nothing to compare with, and the title says so. CI installs it.
describe.skipIf(!installed)(
  installed ? 'a dump through a machine and back' : 'a dump through a machine and back: SKIPPED, install pciutils',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'iommud-roundtrip-'));
    let server: RunningServer;
    beforeAll(async () => {
      server = await startServer({ port: 0, logLevel: 'error' });
    });
    afterAll(async () => {
      await server.close();
      rmSync(folder, { recursive: true });
    });

    async function exported(original: string): Promise<string> {
      const body = JSON.stringify({ lspci: readFileSync(original, 'utf8'), ephemeral: true });
      const made = await fetch(`${server.url}/v1/machines`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      expect(made.status).toBe(201);
      await using connection = await connect(((await made.json()) as { socketUrl: string }).socketUrl);
      const path = join(folder, basename(original));
      writeFileSync(path, await dump(connection.machine));
      return path;
    }

    async function isTheSame(original: string): Promise<void> {
      const ours = await exported(original);
      const slots = lspci(original, '-n')
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0] ?? '');
      expect(slots.length).toBeGreaterThan(0);
      for (const slot of slots) expect(lspci(ours, '-vvv', '-s', slot)).toBe(lspci(original, '-vvv', '-s', slot));
      expect(lspci(ours, '-xxxx')).toBe(lspci(original, '-xxxx'));
    }

    const named = (path: string) => ({ name: basename(path), path });
    test.each(dumpsIn(OWN).map(named))('$name', ({ path }) => isTheSame(path));

    const real = DATA === undefined ? [] : dumpsIn(join(DATA, 'lspci'));
    const title = DATA === undefined ? 'real dumps: SKIPPED, IOMMUD_DATA is not set' : 'there are real dumps in IOMMUD_DATA';
    // Real dumps are in no project; without them its own fixtures run, above.
    test.skipIf(DATA === undefined)(title, () => {
      expect(real.length).toBeGreaterThan(0);
    });
    test.each(real.map(named))('$name', ({ path }) => isTheSame(path));

    test('differs when one byte does', async () => {
      const original = dumpsIn(OWN)[0] ?? '';
      const ours = await exported(original);
      // The vendor ID, in the first row of the first function.
      writeFileSync(ours, readFileSync(ours, 'utf8').replace(/^00: ../m, '00: 5a'));
      expect(lspci(ours, '-vvv')).not.toBe(lspci(original, '-vvv'));
    });
  },
);
