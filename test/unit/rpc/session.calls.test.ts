import { describe, expect, it } from 'vitest';
import { BODY, KIND } from '../../../proto/index.ts';
import type { Reply } from '../../../server/src/core/machine/index.ts';
import { EXAMPLES, EXAMPLE_NAMES } from './calls.ts';
import { malformed } from './fake-machine.ts';
import type { RawPeer } from './raw-peer.ts';
import { FAULT, READ, closedWith, setup } from './setup.ts';

describe('calls', () => {
  it.each(EXAMPLE_NAMES)('%s reaches the machine as its command and gets its reply', async (name) => {
    const { machine, greeted } = setup();
    const peer = await greeted('host', 'device', 'memory');
    const { body, data, command } = EXAMPLES[name];
    peer.call(77, name, body, data).send();
    expect((await peer.replyTo(77)).number).toBe(BODY[name] + 1);
    expect(machine.submitted.map((one) => ({ ...one.command }))).toEqual([command]);
  });

  it('apply in sending order, and their replies keep the order of the outbox', async () => {
    const { machine, greeted } = setup();
    machine.react = (command, submitted) => {
      machine.event(FAULT);
      const reply: Reply = { kind: 'region-read', valueLow: submitted.token, valueHigh: 0 };
      return command.kind === 'region-read' ? reply : undefined;
    };
    const peer = await greeted('host');
    for (let id = 2; id < 300; id++) peer.call(id, 'regionRead', READ);
    peer.send();
    await peer.replyTo(299);
    const said = peer.got.slice(1).map((frame) => [frame.kind, frame.kind === KIND.event ? BODY.faultEvent : frame.id]);
    expect(said).toEqual(
      Array.from({ length: 298 }, (_none, i) => i + 2).flatMap((id) => [
        [KIND.event, BODY.faultEvent],
        [KIND.reply, id],
      ]),
    );
  });

  it('that are answered later keep their id until then', async () => {
    const { machine, greeted } = setup();
    machine.react = () => undefined;
    const peer = await greeted('host');
    peer.call(5, 'resetTrigger', { function: 1, method: 3 }).call(6, 'clockInfo', {}).send();
    await peer.until(() => machine.submitted.length === 2);
    machine.react = (_command, submitted) => {
      for (const held of machine.submitted.slice(0, 2).toReversed()) machine.reply(held, { kind: 'ok', elapsedNs: held.token });
      return { kind: 'clock', nowNs: submitted.token, movedNs: 0 };
    };
    peer.call(7, 'clockInfo', {}).send();
    await peer.replyTo(7);
    expect(peer.got.slice(1).map((frame) => frame.id)).toEqual([6, 5, 7]);
  });

  it('that use an id again before its reply close with 1002', async () => {
    const { machine, greeted } = setup();
    machine.react = () => undefined;
    const peer = await greeted('host');
    peer.call(5, 'clockInfo', {}).call(5, 'clockInfo', {}).call(6, 'clockInfo', {}).send();
    expect(await closedWith(peer, 1002)).toContain('id 5');
    expect(machine.submitted.length).toBe(1);
    expect(machine.detached).toEqual([1]);
  });

  it('may use an id again after its reply', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('host');
    peer.call(1, 'clockInfo', {}).call(1, 'clockInfo', {}).send();
    await peer.until(() => machine.submitted.length === 2 && peer.got.length === 3);
    expect(peer.closed).toBeUndefined();
  });

  it('that are posted have no reply, good or bad', async () => {
    const { machine, greeted, host } = setup();
    const peer = await greeted('host');
    peer.call(0, 'regionWrite', { ...READ, value: { low: 1, high: 0 } });
    peer.call(0, 'regionWrite', READ).call(0, 'dmaRead', {}).add(0, KIND.call, BODY.memoryFence);
    peer.call(2, 'clockInfo', {}).send();
    await peer.replyTo(2);
    expect(peer.got.length).toBe(2);
    expect(machine.submitted.map((one) => [one.token, one.command.kind])).toEqual([
      [0, 'region-write'],
      [2, 'clock-info'],
    ]);
    expect(host.counters.errorsTotal).toBe(3);
  });

  it('that nobody knows, and those that are not this end’s to serve, get ENOSYS', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('host', 'device', 'memory', 'observer');
    const numbers = [BODY.memoryFence, BODY.deviceReset, BODY.deviceInvalidate, BODY.regionReadReply, BODY.error, BODY.draining];
    numbers.forEach((number, i) => peer.add(10 + i, KIND.call, number));
    peer.send();
    // Body 9998, an empty message.
    peer.sendBytes(Uint8Array.from([0x0a, 0x08, 0x08, 0x63, 0x10, 0x01, 0xf2, 0xf0, 0x04, 0x00]));
    expect((await peer.replyTo(99)).body).toMatchObject({ code: 38, name: 'ENOSYS' });
    for (let i = 0; i < numbers.length; i++) expect((await peer.replyTo(10 + i)).body).toMatchObject({ code: 38 });
    expect(machine.submitted).toEqual([]);
  });

  it('that lack a field get EINVAL naming it, and reach no machine', async () => {
    const { machine, greeted } = setup();
    const peer = await greeted('host');
    peer.call(2, 'regionRead', { function: 1, region: 7, bytes: 4 }).send();
    expect((await peer.replyTo(2)).body).toMatchObject({ code: 22, about: 'offset', message: 'offset is missing' });
    expect(machine.submitted).toEqual([]);
  });

  it('that the machine finds malformed get its code', async () => {
    const { machine, greeted } = setup();
    machine.react = () => malformed('offset');
    const peer = await greeted('host');
    peer.call(2, 'regionRead', READ).send();
    expect((await peer.replyTo(2)).body).toMatchObject({ code: 22, about: 'offset', message: 'offset cannot be' });
    machine.react = () => ({ kind: 'refused', code: 'EBUSY', message: 'busy', about: 'it', elapsedNs: 3 });
    peer.call(3, 'regionRead', READ).send();
    expect((await peer.replyTo(3)).body).toMatchObject({ code: 16, about: 'it', elapsedNs: { low: 3 } });
  });

  it('are for the roles that may make them', async () => {
    const { machine, greeted } = setup();
    const allowed = {
      host: await greeted('host'),
      device: await greeted('device'),
      memory: await greeted('memory'),
      observer: await greeted('observer'),
    };
    for (const [role, peer] of Object.entries(allowed)) {
      for (const [i, name] of EXAMPLE_NAMES.entries()) {
        const { body, data } = EXAMPLES[name];
        peer.call(100 + i, name, body, data).send();
        const reply = await peer.replyTo(100 + i);
        if (reply.number === BODY.error) expect([role, name, reply.body]).toMatchObject([role, name, { code: 1, about: 'roles' }]);
      }
    }
    const served = (peer: RawPeer): number =>
      peer.got.filter((frame) => frame.kind === KIND.reply && frame.number !== BODY.error).length - 1;
    expect(Object.entries(allowed).map(([role, peer]) => [role, served(peer)])).toEqual([
      ['host', 78],
      ['device', 20],
      ['memory', 12],
      ['observer', 16],
    ]);
    expect(machine.submitted.length).toBe(78 + 20 + 12 + 16);
  });

  it('that are cancelled still get their one reply', async () => {
    const { machine, greeted } = setup();
    machine.react = () => undefined;
    const peer = await greeted('host');
    peer.call(2, 'clockInfo', {}).add(2, KIND.cancel, 0).add(9, KIND.cancel, 0).send();
    await peer.until(() => machine.submitted.length === 1);
    machine.react = () => {
      machine.reply(machine.submitted[0] ?? malformed('none'), { kind: 'clock', nowNs: 1, movedNs: 0 });
      return { kind: 'clock', nowNs: 2, movedNs: 0 };
    };
    peer.call(3, 'clockInfo', {}).send();
    await peer.replyTo(3);
    expect(peer.got.slice(1).map((frame) => frame.id)).toEqual([2, 3]);
  });

  it('of unknown events are ignored', async () => {
    const peer = await setup().greeted('host');
    peer.add(0, KIND.event, BODY.logEvent).call(2, 'clockInfo', {}).send();
    await peer.replyTo(2);
    expect(peer.closed).toBeUndefined();
  });
});
