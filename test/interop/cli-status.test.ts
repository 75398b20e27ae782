/** `iommud status`: what a hang is about. */
import { expect, test } from 'vitest';
import { connect } from '../../client/src/index.ts';
import { iommud, serviceForCommands } from './cli-here.ts';

serviceForCommands();

test('a machine at rest waits for nobody, and one whose emulator is slow says so', async () => {
  const made = JSON.parse((await iommud('machine', 'create', '--name', 'lab', '--json')).out) as { socketUrl: string };
  expect((await iommud('status', 'lab')).out).toBe('clock auto: 0 ns, nothing to ring\nnobody is connected\n\nno call waits\n');

  const emulator = await connect(made.socketUrl, { roles: ['device'] });
  const host = await connect(made.socketUrl, { roles: ['host'] });
  let answer: () => void = () => undefined;
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  await emulator.claimDevice('00:04.0', {
    onRegionRead: () => {
      asked();
      return new Promise<number>((resolve) => (answer = () => resolve(1)));
    },
  });
  const read = host.machine.function('00:04.0').bar(0).read(0, 4);
  await isAsked;
  const { out } = await iommud('status', 'lab');
  expect(out).toContain('it waits for the answers of peer 1\n');
  expect(out).toMatch(/^1 +iommud-client.* +device +00:04\.0 +- +regionRead for \d+ ms$/m);
  expect(out).toMatch(/^2 +iommud-client.* +host +- +1 calls +-$/m);
  expect(out).toMatch(/^peer-access +00:04\.0 +0 ns +the answer of peer 1$/m);
  answer();
  await read;
  const pace = await emulator.machine.clock.hold();
  expect((await iommud('status', 'lab')).out).toContain('; peer 1 holds it, and has granted it until 0 ns\n');
  await pace.release();
  expect(JSON.parse((await iommud('status', 'lab', '--json')).out)).toMatchObject({ waiting: [], clockHeldBy: [] });
  await Promise.all([emulator.close(), host.close()]);
  expect(await iommud('status', 'nowhere')).toMatchObject({ code: 4 });
});

test('memory that a peer owns is named, and that its owner is gone', async () => {
  const made = JSON.parse((await iommud('machine', 'create', '--name', 'owned', '--json')).out) as { socketUrl: string };
  const host = await connect(made.socketUrl, { roles: ['host'] });
  const owner = await connect(made.socketUrl, { roles: ['memory'] });
  await owner.serveMemory({ address: 0x8000_0000, bytes: 4096 }, { read: (_, bytes) => new Uint8Array(bytes), write: () => undefined });
  expect((await iommud('status', 'owned')).out).toMatch(/^MEMORY +BYTES +OWNER\n0x80000000 +0x1000 +peer 2$/m);
  await owner.close();
  while ((await host.machine.memoryChanges.next()).change !== 'absent');
  expect((await iommud('status', 'owned')).out).toMatch(/^0x80000000 +0x1000 +peer 2, which is gone: absent$/m);
  await host.close();
});
