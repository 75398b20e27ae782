/** `iommud machine save` and `load`, as they are typed. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { iommud, serviceForCommands } from './cli-here.ts';

const folder = mkdtempSync(join(tmpdir(), 'iommud-snapshot-'));
const server = serviceForCommands();
afterAll(() => rmSync(folder, { recursive: true }));

it('saves a machine and makes it again, under its name or another', async () => {
  const file = join(folder, 'lab.snapshot');
  await iommud('machine', 'create', '--name', 'lab', '--seed', '5');
  const connection = await connect(`${server.url}/v1/machines/lab/socket`);
  const before = await connection.machine.clock.info();
  await connection.close();

  const saved = await iommud('machine', 'save', 'lab', file);
  expect(saved).toMatchObject({ code: 0, out: `lab saved to ${file}, ${statSync(file).size} bytes\n`, err: '' });
  expect(await iommud('machine', 'load', file)).toMatchObject({ code: 4, err: expect.stringContaining('EEXIST') });
  expect(await iommud('machine', 'load', file, '--name', 'twin')).toMatchObject({ code: 0, out: expect.stringContaining('twin') });
  await iommud('machine', 'delete', 'lab');
  const loaded = await iommud('machine', 'load', file, '--json');
  expect(JSON.parse(loaded.out)).toMatchObject({ name: 'lab', seed: 5, source: 'snapshot' });

  const again = await connect(`${server.url}/v1/machines/lab/socket`);
  expect(await again.machine.clock.info()).toEqual(before);
  await again.close();
});

it('says what is wrong with a file, and with a place to put one', async () => {
  const file = join(folder, 'bad.snapshot');
  await iommud('machine', 'create', '--name', 'bad');
  await iommud('machine', 'save', 'bad', file);
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, bytes.length - 9));
  const cut = await iommud('machine', 'load', file, '--name', 'x');
  expect(cut).toMatchObject({ code: 4, err: expect.stringContaining(`cut off at byte ${bytes.length - 9} of ${bytes.length}`) });
  expect(await iommud('machine', 'load', join(folder, 'none'))).toMatchObject({ code: 2, err: expect.stringContaining('cannot read') });
  expect(await iommud('machine', 'save', 'bad', join(folder, 'no', 'such'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('cannot write'),
  });
  expect(await iommud('machine', 'save', 'nobody', file)).toMatchObject({ code: 4, err: expect.stringContaining('ENODEV') });
});
