import { describe, expect, it } from 'vitest';
import { BODY, KIND } from '../../../proto/index.ts';
import type { MachineEvent } from '../../../server/src/core/machine/index.ts';
import { settle } from './raw-peer.ts';
import { FAULT, INTERRUPT, setup } from './setup.ts';

describe('events', () => {
  it('come to hosts and observers from their Hello on, numbered, and to nobody else', async () => {
    const { machine, greeted } = setup();
    const [host, observer, device] = [await greeted('host'), await greeted('observer'), await greeted('device')];
    machine.react = () => {
      machine.event(FAULT);
      machine.event(INTERRUPT);
      machine.event({ kind: 'log', level: 'info', bdf: undefined, text: 'l', timeNs: 0 });
      machine.event({ kind: 'window', bdf: 16, open: true, depth: 1, timeNs: 0 } as unknown as MachineEvent);
      return { kind: 'clock', nowNs: 0, movedNs: 0 };
    };
    host.call(2, 'clockInfo', {}).send();
    await host.replyTo(2);
    await settle();
    const numbers = [BODY.faultEvent, BODY.interruptEvent, BODY.logEvent, BODY.windowEvent];
    for (const peer of [host, observer]) {
      const events = peer.got.filter((frame) => frame.kind === KIND.event);
      expect(events.map((frame) => [frame.id, frame.number])).toEqual(numbers.map((number, i) => [i + 1, number]));
    }
    expect(host.got.at(-1)?.kind).toBe(KIND.reply);
    expect(device.got.length).toBe(1);
  });

  it('are chosen by subscribe', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('host');
    machine.react = () => {
      machine.event(FAULT);
      machine.event(INTERRUPT);
      return { kind: 'clock', nowNs: 0, movedNs: 0 };
    };
    peer
      .call(2, 'subscribe', { events: [2] })
      .call(3, 'clockInfo', {})
      .send();
    await peer.replyTo(3);
    expect((await peer.replyTo(2)).body).toMatchObject({ nextNumber: 1 });
    expect(peer.got.filter((frame) => frame.kind === KIND.event).map((frame) => frame.number)).toEqual([BODY.interruptEvent]);
    peer.call(4, 'subscribe', { events: [] }).call(5, 'clockInfo', {}).send();
    await peer.replyTo(5);
    expect((await peer.replyTo(4)).body).toMatchObject({ nextNumber: 2 });
    expect(peer.got.filter((frame) => frame.kind === KIND.event).length).toBe(1);
  });

  it('of the trace come to observers who asked, and only then is anything traced', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('observer');
    const host = await greeted('host');
    expect(machine.traceListeners.size).toBe(0);
    peer.call(2, 'subscribe', { events: [5, 1] }).send();
    await peer.replyTo(2);
    machine.emitTrace({ kind: 'dma-issued', timeNs: 5, a: 16, b: 1, c: -1, d: 0 });
    await settle();
    expect(peer.events('traceEvent')).toMatchObject([{ id: 1, body: { name: 'dma-issued', c: { low: -1, high: -1 } } }]);
    expect(host.events('traceEvent')).toEqual([]);
    peer.close();
    await peer.until(() => machine.detached.length === 1);
    expect(machine.traceListeners.size).toBe(0);
  });

  it.each([
    ['EINVAL', ['host'] as const, [9]],
    ['EINVAL', ['host'] as const, [0]],
    ['EINVAL', ['host'] as const, Array.from({ length: 65 }, () => 1)],
    ['EPERM', ['host'] as const, [5]],
    ['EPERM', ['device'] as const, [1]],
  ])('%s for a wrong choice (%j, %j)', async (name, roles, events) => {
    const peer = await setup().greeted(...roles);
    peer.call(2, 'subscribe', { events }).send();
    expect((await peer.replyTo(2)).body).toMatchObject({ name });
  });
});
