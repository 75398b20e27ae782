import { describe, expect, it } from 'vitest';
import { connected } from './fake-server.ts';

const u64 = (low: number): object => ({ low, high: 0 });

describe('events', () => {
  it('become what people read', async () => {
    const { server, connection } = await connected();
    const { machine } = connection;
    server.event('faultEvent', {
      record: { number: u64(1), timeNs: u64(9), function: 0x10, iova: { low: -4096, high: -1 }, access: 2, cause: 2, text: 'words' },
    });
    server.event('interruptEvent', { function: 0x10, address: { low: 0xfee00000 | 0, high: 0 }, data: 33, count: 2, timeNs: u64(10) });
    server.event('windowEvent', { function: 0x0001_0010, open: true, depth: 1, timeNs: u64(11) });
    server.event('logEvent', { level: 2, text: 'whole machine', timeNs: u64(12) });
    server.event('traceEvent', {
      kind: 3,
      name: 'dma-issued',
      timeNs: u64(13),
      a: u64(16),
      b: { low: -1, high: -1 },
      c: u64(0),
      d: u64(0),
    });
    expect(await machine.faults.next()).toEqual({
      number: 1,
      timeNs: 9,
      function: '00:02.0',
      pasid: undefined,
      iova: 0xffff_ffff_ffff_f000n,
      access: 'w',
      cause: 'not-present',
      stage: 0,
      privileged: false,
      execute: false,
      text: 'words',
    });
    expect(await machine.interrupts.next()).toMatchObject({ function: '00:02.0', address: 0xfee0_0000n, data: 33, count: 2 });
    expect(await machine.windows.next()).toMatchObject({ function: '0001:00:02.0', open: true, depth: 1 });
    expect(await machine.logs.next()).toMatchObject({ level: 'warn', function: undefined, text: 'whole machine' });
    expect(await machine.trace.next()).toEqual({ name: 'dma-issued', timeNs: 13, values: [16, -1, 0, 0] });
  });

  it('an outcome that a newer server sends keeps its number', async () => {
    const { server, connection } = await connected();
    server.event('faultEvent', { record: { number: u64(1), timeNs: u64(0), function: 0, iova: u64(0), access: 1, cause: 77, text: '' } });
    expect(await connection.machine.faults.next()).toMatchObject({ cause: 'outcome-77', access: 'r' });
  });

  it('what the server dropped is counted in every queue', async () => {
    const { server, connection } = await connected();
    server.event('lost', { from: 5, to: 9 });
    server.event('lost', { from: 0xffff_ffff, to: 2 });
    const { faults, trace } = connection.machine;
    expect([faults.lost, trace.lost]).toEqual([8, 8]);
  });

  it('a server that stops says so', async () => {
    const { server, connection } = await connected();
    expect(connection.drainingMs).toBeUndefined();
    server.event('draining', { deadlineMs: 5000 });
    expect(connection.drainingMs).toBe(5000);
  });

  it('an event that this client does not know is ignored', async () => {
    const { server, connection } = await connected();
    // Frame { id: 0, kind: event, field 2000: empty message }, written as any protobuf library writes it.
    server.raw(new Uint8Array([0x0a, 0x05, 0x10, 0x03, 0x82, 0x7d, 0x00]));
    server.event('logEvent', { level: 1, text: 'next', timeNs: u64(0) });
    expect(await connection.machine.logs.next()).toMatchObject({ text: 'next' });
    expect(server.closedWith).toBeUndefined();
  });
});
