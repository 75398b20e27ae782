/** A peer that does wrong: each thing is an error or a record, is counted, and after the stated limit the connection is closed with a code that says why. */
import { expect } from 'vitest';
import { BODY, CLOSE } from '../../proto/index.ts';
import { PEER_MISTAKES_MAX, PEER_REFUSALS_MAX } from '../../proto/limits.ts';
import { eventually, refusal, scenario, type ScenarioMachine, type ScenarioOptions } from '../kit/scenario.ts';
import type { RawPeer } from '../unit/rpc/raw-peer.ts';
import { closedWith } from '../unit/rpc/setup.ts';

const SLOT = '00:04.0';
const SLOT_NUMBER = 0x20;
const ATS_SLOT = '00:05.0';
const ATS_NUMBER = 0x28;
const BUS_MASTER = 0x0406;
const NOBODY = 0x7f;
/** Calls that are made at a time. */
const SOME = 32;
const FRAMES: ScenarioOptions = { drivers: ['loopback', 'socket'] };
const WITH_ATS: ScenarioOptions = {
  ...FRAMES,
  topology: {
    schema: 'iommud.topology/v1',
    functions: [{ address: ATS_SLOT, model: 'remote', capabilities: { ats: { queueDepth: 4 } } }],
  },
};

let lastId = 100;

async function claimed(m: ScenarioMachine, body: object = {}, slot = SLOT_NUMBER): Promise<RawPeer> {
  const peer = await m.raw('device');
  const id = ++lastId;
  peer.call(id, 'deviceClaim', { function: slot, ...body }).send();
  expect((await peer.replyTo(id)).number).toBe(BODY.deviceClaimReply);
  return peer;
}

/** The host's read of 4 bytes, and the call that it becomes. */
async function asked(m: ScenarioMachine, peer: RawPeer): Promise<{ readonly read: Promise<unknown>; readonly id: number }> {
  const before = peer.calls().length;
  const read = m.function(SLOT).bar(0).read(0, 4);
  read.catch(() => undefined);
  await peer.until(() => peer.calls().length > before, 'a read');
  return { read, id: peer.calls()[before]!.id };
}

/** All that was sent has been handled, and the connection stands. */
async function stands(peer: RawPeer): Promise<void> {
  const id = ++lastId;
  peer.call(id, 'clockInfo', {}).send();
  await peer.replyTo(id);
  expect(peer.closed).toBeUndefined();
}

const VALUE = { value: { low: 7, high: 0 } };
const WRONG_ANSWERS: readonly [string, (peer: RawPeer, id: number) => void, (read: Promise<unknown>) => Promise<void>, RegExp][] = [
  [
    'answers twice',
    (peer, id) => peer.reply(id, 'regionReadReply', VALUE).reply(id, 'regionReadReply', VALUE),
    async (read) => expect(await read).toBe(7),
    /a reply to call \d+, which is not outstanding/,
  ],
  [
    'answers to the wrong id',
    (peer, id) => peer.reply(id + 500, 'regionReadReply', VALUE).reply(id, 'regionReadReply', VALUE),
    async (read) => expect(await read).toBe(7),
    /a reply to call \d+, which is not outstanding/,
  ],
  [
    'answers with too many bytes',
    (peer, id) => peer.reply(id, 'regionReadReply', { value: { low: 0, high: 1 } }),
    async (read) => expect(await refusal(read)).toBe('EPROTO'),
    /the value 0x100000000 for an access of 4 bytes/,
  ],
  [
    'answers another call than was made',
    (peer, id) => peer.reply(id, 'regionWriteReply'),
    async (read) => expect(await refusal(read)).toBe('EPROTO'),
    /is no reply to a call with body/,
  ],
];

for (const [what, answer, outcome, why] of WRONG_ANSWERS) {
  scenario(`one that ${what}: the host gets what is right or a clear error, and the 16th closes`, FRAMES, async (m) => {
    const peer = await claimed(m);
    for (let i = 1; i < PEER_MISTAKES_MAX; i++) {
      const { read, id } = await asked(m, peer);
      answer(peer, id);
      peer.send();
      await outcome(read);
    }
    await stands(peer);
    const { read, id } = await asked(m, peer);
    answer(peer, id);
    peer.send();
    const reason = await closedWith(peer, CLOSE.order);
    expect(reason).toMatch(new RegExp(`^${PEER_MISTAKES_MAX} wrong answers; the last: .*`));
    expect(reason).toMatch(why);
    await read.catch(() => undefined);
    // Absent.
    await eventually(async () => expect(await m.function(SLOT).config.read(0, 4)).toBe(0xffff_ffff));
  });
}

/** What is refused each time: the call, and what the last refusal says. */
const REFUSED: readonly [string, (m: ScenarioMachine) => Promise<RawPeer>, (peer: RawPeer, id: number) => void, RegExp][] = [
  [
    'claims a slot that is taken',
    async (m) => {
      await claimed(m);
      return m.raw('device');
    },
    (peer, id) => peer.call(id, 'deviceClaim', { function: SLOT_NUMBER }),
    /00:04\.0/,
  ],
  [
    'claims with a width that there is not',
    (m) => m.raw('device'),
    (peer, id) => peer.call(id, 'deviceClaim', { function: SLOT_NUMBER, widths: 16 }),
    /widths/,
  ],
  [
    'declares BARs that overlap',
    (m) => m.raw('device'),
    (peer, id) => {
      const bars = [
        { bar: 0, size: '4KiB', kind: 'memory64' },
        { bar: 1, size: '4KiB', kind: 'memory32' },
      ];
      const declare = JSON.stringify({ functions: [{ address: SLOT, model: 'remote', bars }] });
      return peer.call(id, 'deviceClaim', { function: SLOT_NUMBER, declare });
    },
    /BAR/,
  ],
  [
    'does DMA without Bus Master Enable',
    async (m) => {
      const peer = await claimed(m);
      await m.function(SLOT).config.write(0x04, 2, 2);
      return peer;
    },
    (peer, id) => peer.call(id, 'dmaWrite', { function: SLOT_NUMBER, iova: { low: 0x10000, high: 0 } }, Uint8Array.of(1)),
    /no Bus Master Enable/,
  ],
  [
    'does a list of DMA while its function is blocked',
    async (m) => {
      const peer = await claimed(m);
      await m.function(SLOT).config.write(0x04, 2, BUS_MASTER);
      await m.function(SLOT).resetPrepare({ deadlineMs: 0 });
      return peer;
    },
    (peer, id) => peer.call(id, 'dmaList', { function: SLOT_NUMBER, ranges: [{ iova: { low: 0x10000, high: 0 }, bytes: 4 }] }),
    /blocked/,
  ],
];

for (const [what, made, call, why] of REFUSED) {
  scenario(`one that ${what} is refused each time, and the ${PEER_REFUSALS_MAX}th in a row closes`, FRAMES, async (m) => {
    const peer = await made(m);
    const flood = async (times: number, make: typeof call): Promise<void> => {
      // A few at a time: what is past its credits is another mistake.
      for (let done = 0; done < times && peer.closed === undefined; done += SOME) {
        const ids = Array.from({ length: Math.min(SOME, times - done) }, () => ++lastId);
        for (const id of ids) make(peer, id);
        peer.send();
        await peer.until(() => peer.closed !== undefined || peer.got.at(-1)?.id === ids.at(-1), 'the last reply');
      }
    };
    // They are a row whatever they are, and some cost more.
    await flood(PEER_REFUSALS_MAX - SOME, (raw, id) => raw.call(id, 'deviceRelease', { function: NOBODY }));
    await flood(SOME - 1, call);
    expect(peer.closed).toBeUndefined();
    await flood(1, call);
    const reason = await closedWith(peer, CLOSE.limits);
    expect(reason).toMatch(new RegExp(`^${PEER_REFUSALS_MAX} calls in a row were refused; the last: `));
    expect(reason).toMatch(why);
  });
}

scenario(
  'one that posts DMA of a function that is blocked has no reply to learn it from, and is closed for a flood of it',
  FRAMES,
  async (m) => {
    const peer = await claimed(m);
    const page = await m.pages(1);
    await m.function(SLOT).dma.map({ iova: 0x10000, address: page, bytes: 4096, access: 'rw' });
    const post = (times: number): RawPeer => {
      for (let i = 0; i < times; i++)
        peer.call(0, 'dmaWrite', { function: SLOT_NUMBER, iova: { low: 0x10000, high: 0 } }, Uint8Array.of(1));
      return peer.send();
    };
    await m.function(SLOT).config.write(0x04, 2, 2);
    post(PEER_REFUSALS_MAX - 1);
    await stands(peer);
    // One that is served begins the row anew.
    await m.function(SLOT).config.write(0x04, 2, BUS_MASTER);
    post(1);
    await stands(peer);
    expect(await m.memory.read(page, 2)).toEqual(Uint8Array.of(1, 0));
    const window = await m.function(SLOT).resetPrepare({ deadlineMs: 0 });
    post(PEER_REFUSALS_MAX - 1);
    await stands(peer);
    post(1);
    expect(await closedWith(peer, CLOSE.limits)).toMatch(
      /^4096 calls in a row came to nothing; the last: DMA of a function that is blocked/,
    );
    await window.done();
  },
);

for (const posted of [false, true]) {
  const how = posted ? 'posted' : 'answered';
  scenario(`one that floods Invalidate Completions that nothing waits for is closed (${how})`, WITH_ATS, async (m) => {
    const peer = await claimed(m, { atc: 2 }, ATS_NUMBER);
    await m.function(ATS_SLOT).config.write(0x04, 2, BUS_MASTER);
    const complete = async (times: number): Promise<void> => {
      for (let done = 0; done < times && peer.closed === undefined; done++) {
        const id = posted ? 0 : ++lastId;
        peer.call(id, 'invalidateComplete', { function: ATS_NUMBER, itags: 1 });
        if (done % 64 !== 63 && done !== times - 1) continue;
        peer.send();
        if (!posted) await peer.until(() => peer.closed !== undefined || peer.got.some((frame) => frame.id === id), 'the last reply');
      }
    };
    await complete(PEER_REFUSALS_MAX - 1);
    await stands(peer);
    // One that something waits for begins the row anew.
    await m.function(ATS_SLOT).dma.map({ iova: 0x10000, address: await m.pages(1), bytes: 4096, access: 'rw' });
    peer.call(++lastId, 'deviceTranslate', { function: ATS_NUMBER, iova: { low: 0x10000, high: 0 } }).send();
    await peer.replyTo(lastId);
    const unmapped = m.function(ATS_SLOT).dma.unmap({ iova: 0x10000, bytes: 4096 });
    await peer.until(() => peer.calls().some(({ number }) => number === BODY.deviceInvalidate), 'an Invalidate Request');
    const request = peer.calls().find(({ number }) => number === BODY.deviceInvalidate)!;
    peer.call(++lastId, 'invalidateComplete', { function: ATS_NUMBER, itags: 2 ** Number(request.body['itag'] ?? 0) });
    // In that order: once it has answered, the clock goes on to the timeout.
    peer.reply(request.id, 'deviceInvalidateReply', { later: true }).send();
    await unmapped;
    await complete(PEER_REFUSALS_MAX - 1);
    await stands(peer);
    await complete(1);
    expect(await closedWith(peer, CLOSE.limits)).toMatch(
      /^4096 calls in a row came to nothing; the last: an Invalidate Completion of 00:05\.0 that no request waited for$/,
    );
  });
}
