import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openRecording, playRecording } from '../../../server/src/app/index.ts';
import { service, type Service } from './service.ts';

const TOKENS = [
  { token: 'all', machines: ['*'], roles: ['host'] },
  { token: 'eyes', machines: ['*'], roles: ['observer'] },
  { token: 'device', machines: ['*'], roles: ['device'] },
  { token: 'some', machines: ['lab-*'], roles: ['host'] },
] as const;

/** Begins to record; what it gives is there when the recording has ended. */
async function recording(rest: Service, machine: string): Promise<{ file: () => Promise<Buffer> }> {
  const answer = rest.get(`/v1/machines/${machine}/recording`);
  // It has begun when its route has run.
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
  return {
    file: async () => {
      const { statusCode, headers, rawPayload } = await answer;
      expect([statusCode, headers['content-type']]).toEqual([200, 'application/octet-stream']);
      return rawPayload;
    },
  };
}

describe('a recording', () => {
  test('has what hosts do on sockets and what is done by REST, and replays without both', async () => {
    const rest = await service();
    const { id } = await rest.make({ name: 'lab', seed: 9 });
    const { file } = await recording(rest, id);
    const host = await rest.connect(id);
    const { address } = await host.machine.memory.alloc(4096);
    await host.machine.memory.write(address, Buffer.from('kept'));
    expect((await rest.post(`/v1/machines/lab/functions/00:02.0/reset`, { method: 'flr', deadlineMs: 10 })).statusCode).toBe(200);
    expect((await rest.post(`/v1/machines/lab/functions/00:1f.7/reset`, { method: 'flr', deadlineMs: 10 })).statusCode).toBe(404);
    expect((await rest.delete('/v1/machines/lab/recordings/1')).statusCode).toBe(204);
    const { difference, inputs, traceHash, recording: read } = playRecording(await file());
    expect(difference).toBeUndefined();
    expect(read.start).toMatchObject({ name: 'lab', seed: 9, state: undefined });
    expect(read.end).toMatchObject({ inputs, traceHash, reason: 'asked to' });
    expect([...read.records()].map(({ what }) => what.kind)).toEqual(
      expect.arrayContaining(['arrived', 'received', 'sent', 'command', 'reply']),
    );
    expect((await rest.delete('/v1/machines/lab/recordings/1')).json()).toMatchObject({ code: 'ENOENT', about: 'recording' });
    expect((await rest.delete('/v1/machines/lab/recordings/nine')).statusCode).toBe(400);
  });

  test('of a machine that was loaded, or that has a past, begins with what it is', async () => {
    const rest = await service();
    await rest.make({ name: 'lab' });
    const saved = (await rest.get('/v1/machines/lab/snapshot')).rawPayload;
    await rest.post('/v1/machines/snapshot?name=twin', saved, { 'content-type': 'application/octet-stream' });
    for (const name of ['lab', 'twin']) {
      const { file } = await recording(rest, name);
      await rest.post(`/v1/machines/${name}/functions/00:02.0/reset`, { method: 'flr', deadlineMs: 10 });
      await rest.delete(`/v1/machines/${name}/recordings/1`);
      const { difference, recording: read } = playRecording(await file());
      expect(difference).toBeUndefined();
      expect(read.start.state === undefined, name).toBe(name === 'lab');
    }
  });

  test('ends with the machine, and with the service', async () => {
    const rest = await service();
    for (const end of [() => rest.delete('/v1/machines/lab'), () => rest.app.close()]) {
      await rest.make({ name: 'lab' });
      const { file } = await recording(rest, 'lab');
      await end();
      expect(openRecording(await file()).end?.reason).toMatch(/deleted|the service is stopping/);
    }
  });

  test('is for those who may read, of their machines', async () => {
    const rest = await service({ tokens: TOKENS });
    await rest.as('all').make({ name: 'lab-1' });
    await rest.as('all').make({ name: 'other' });
    expect((await rest.as('some').get('/v1/machines/other/recording')).statusCode).toBe(404);
    expect((await rest.as('device').get('/v1/machines/other/recording')).statusCode).toBe(403);
    expect((await rest.get('/v1/machines/other/recording')).statusCode).toBe(401);
    expect((await rest.as('some').delete('/v1/machines/other/recordings/1')).statusCode).toBe(404);
    const { file } = await recording(rest.as('eyes'), 'lab-1');
    expect((await rest.as('eyes').delete('/v1/machines/lab-1/recordings/1')).statusCode).toBe(204);
    expect(openRecording(await file()).end?.inputs).toBe(0);
  });

  test('of which there are as many as there may be is refused', async () => {
    const rest = await service();
    await rest.make({ name: 'lab' });
    const running = [];
    for (let i = 0; i < 4; i++) running.push(await recording(rest, 'lab'));
    expect((await rest.get('/v1/machines/lab/recording')).json()).toMatchObject({ code: 'EBUSY' });
    await rest.delete('/v1/machines/lab/recordings/3');
    await running[2]?.file();
    const next = await recording(rest, 'lab');
    await rest.delete('/v1/machines/lab/recordings/5');
    await next.file();
    await rest.delete('/v1/machines/lab');
    for (const { file } of running) await file();
  });
});

test('a folder gets a recording of every machine, from its beginning to its end', async () => {
  const recordDir = mkdtempSync(join(tmpdir(), 'iommud-recordings-'));
  onTestFinished(() => rmSync(recordDir, { recursive: true }));
  const rest = await service({ recordDir });
  const { id } = await rest.make({ name: 'lab' });
  await rest.post('/v1/machines/lab/functions/00:02.0/reset', { method: 'flr', deadlineMs: 10 });
  await rest.make({ name: 'idle' });
  await rest.delete('/v1/machines/lab');
  await rest.app.close();
  expect(readdirSync(recordDir)).toHaveLength(2);
  const played = playRecording(readFileSync(join(recordDir, `${id}.iommurec`)));
  expect(played).toMatchObject({
    difference: undefined,
    recording: { start: { state: undefined }, end: { reason: 'the machine was deleted' } },
  });
  expect(played.inputs).toBeGreaterThan(0);
});
