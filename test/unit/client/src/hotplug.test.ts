import { describe, expect, it } from 'vitest';
import { connected, tick } from './fake-server.ts';

const u64 = (low: number): object => ({ low, high: 0 });

describe('plug', () => {
  it('sends a list as the text of a document, and text as it is', async () => {
    const { server, connection } = await connected();
    const functions = [{ address: '00.0', model: 'edu' }];
    const plugging = [connection.machine.plug({ port: '00:1c.0', functions }), connection.machine.plug({ functions: 'functions: []' })];
    await tick();
    expect(server.calls('functionPlug').map(({ body }) => body)).toMatchObject([
      { port: 0xe0, topology: JSON.stringify({ functions }) },
      { port: null, topology: 'functions: []' },
    ]);
    for (const { id } of server.calls('functionPlug'))
      server.reply(id, 'functionPlugReply', { functions: [0x100], elapsedNs: u64(100_000_000) });
    expect(await Promise.all(plugging)).toEqual(Array(2).fill({ functions: ['01:00.0'], elapsedMs: 100 }));
  });

  it('a port that is no address is refused before anything is sent', async () => {
    const { server, connection } = await connected();
    await expect(connection.machine.plug({ port: 'left', functions: [] })).rejects.toMatchObject({ code: 'EINVAL' });
    expect(server.frames).toEqual([]);
  });
});

describe('unplug', () => {
  it('in order, for a time; or pulled out; and says what became of what was in flight', async () => {
    const { server, connection } = await connected();
    const card = connection.machine.function('01:00.0');
    const going = [card.unplug({ deadlineMs: 1.5 }), card.unplug({ surprise: true }), card.unplug()];
    await tick();
    expect(server.calls('functionUnplug').map(({ body }) => body)).toMatchObject([
      { function: 0x100, surprise: null, deadlineNs: u64(1_500_000) },
      { function: 0x100, surprise: true, deadlineNs: null },
      { function: 0x100, surprise: null, deadlineNs: null },
    ]);
    const reply = { functions: [0x100, 0x101], drained: 1, aborted: 2, completed: 3, timedOut: 4, elapsedNs: u64(0) };
    for (const { id } of server.calls('functionUnplug')) server.reply(id, 'functionUnplugReply', reply);
    const report = { functions: ['01:00.0', '01:00.1'], drained: 1, aborted: 2, completed: 3, timedOut: 4, elapsedMs: 0 };
    expect(await Promise.all(going)).toEqual([report, report, report]);
  });
});

describe('events', () => {
  it('say who came, who went, and where', async () => {
    const { server, connection } = await connected();
    server.event('hotplugEvent', { function: 0x100, port: 0xe0, present: true, reason: 'plugged', timeNs: u64(5) }, 1);
    server.event('hotplugEvent', { function: 0x10, present: false, reason: 'surprise', timeNs: u64(6) }, 2);
    const { hotplug } = connection.machine;
    expect(await hotplug.next()).toEqual({ function: '01:00.0', port: '00:1c.0', present: true, reason: 'plugged', timeNs: 5 });
    expect(await hotplug.next()).toEqual({ function: '00:02.0', present: false, reason: 'surprise', timeNs: 6 });
  });
});
