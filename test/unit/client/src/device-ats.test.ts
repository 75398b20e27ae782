import { describe, expect, it } from 'vitest';
import type { ClaimedFunction, Invalidation, InvalidationAnswer } from '../../../../client/src/index.ts';
import { BODY, KIND } from '../../../../proto/index.ts';
import { connected, tick, type FakeServer } from './fake-server.ts';

const FUNCTION = 0x20;
const PAGE = 0x1000;
const u64 = (low: number): object => ({ low, high: 0 });

interface Claimed {
  readonly server: FakeServer;
  readonly fn: ClaimedFunction;
  readonly asked: Invalidation[];
}

async function claimed(
  answer: (invalidation: Invalidation) => InvalidationAnswer | Promise<InvalidationAnswer> = () => undefined,
): Promise<Claimed> {
  const { server, connection } = await connected();
  const asked: Invalidation[] = [];
  const onInvalidate = (invalidation: Invalidation): InvalidationAnswer | Promise<InvalidationAnswer> => {
    asked.push(invalidation);
    return answer(invalidation);
  };
  const claiming = connection.claimDevice('00:04.0', { onInvalidate }, { atc: 'peer' });
  await tick();
  server.reply(1, 'deviceClaimReply', {});
  return { server, fn: await claiming, asked };
}

const invalidate = (id: number, fields: object = {}) =>
  [id, KIND.call, 'deviceInvalidate', { function: FUNCTION, itag: 3, iova: u64(0), ...fields }] as const;
const last = (server: FakeServer) => server.frames.at(-1);

describe('an Invalidate Request', () => {
  it('says what is to be dropped, and is done when the handler has settled', async () => {
    let finish: (answer: InvalidationAnswer) => void = () => undefined;
    const { server, asked } = await claimed(() => new Promise((resolve) => (finish = resolve)));
    expect(server.frames.some(({ body }) => (body as { atc?: number }).atc === 2)).toBe(true);
    server.say(invalidate(9, { pasid: 7, iova: { low: 0x2000, high: -1 }, bytes: u64(0x2000) }));
    await tick();
    expect(asked).toEqual([{ itag: 3, pasid: 7, iova: 0xffff_ffff_0000_2000n, bytes: 0x2000n }]);
    expect(last(server)?.number).not.toBe(BODY.deviceInvalidateReply);
    finish();
    await tick();
    expect(last(server)).toMatchObject({ id: 9, number: BODY.deviceInvalidateReply });
  });

  it('without a range is for everything, and may be completed later', async () => {
    const { server, asked, fn } = await claimed(() => 'later');
    server.say(invalidate(9));
    await tick();
    expect(asked).toEqual([{ itag: 3, pasid: undefined, iova: 0n, bytes: undefined }]);
    expect(last(server)).toMatchObject({ number: BODY.deviceInvalidateReply, body: { later: true } });
    void fn.ats.complete([0, 31]);
    await tick();
    expect(last(server)).toMatchObject({ number: BODY.invalidateComplete, body: { function: FUNCTION, itags: 0x8000_0001 } });
    void fn.ats.complete(3, { completions: 8 });
    await tick();
    expect(last(server)).toMatchObject({ number: BODY.invalidateComplete, body: { itags: 8, completions: 8 } });
    await expect(fn.ats.complete(32)).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(fn.ats.complete([-1])).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

describe('a translation that was asked for', () => {
  const AT = 0x10_3000;
  const grant = { address: u64(0x4000_0000), bytes: u64(4 * PAGE), access: 3 };

  /** What it says when these come between request and reply; it is asked for at 0x103000 and gets two ranges of 16 KiB from 0x100000 on. */
  async function overtaken(asking: { pasid?: number }, between: readonly object[], granted: object = grant): Promise<boolean> {
    const { server, fn } = await claimed();
    const asked = fn.ats.translate(AT, { ...asking, count: 2 });
    await tick();
    const { id } = last(server) ?? expect.unreachable('it was asked');
    server.say(...between.map((fields, i) => invalidate(20 + i, fields)));
    await tick();
    server.reply(id, 'deviceTranslateReply', { result: { outcome: 1, requests: 1, grant: granted, grants: [granted, granted] } });
    return (await asked).overtaken;
  }

  it.each<[string, boolean, { pasid?: number }, object[], object?]>([
    ['nothing', false, {}, []],
    ['its first page', true, {}, [{ iova: u64(0x10_0000), bytes: u64(PAGE) }]],
    ['its last page', true, {}, [{ iova: u64(0x10_7000), bytes: u64(PAGE) }]],
    ['the page before', false, {}, [{ iova: u64(0xf_f000), bytes: u64(PAGE) }]],
    ['the page behind', false, {}, [{ iova: u64(0x10_8000), bytes: u64(PAGE) }]],
    [
      'one of two',
      true,
      {},
      [
        { iova: u64(0), bytes: u64(PAGE) },
        { iova: u64(0x10_4000), bytes: u64(PAGE) },
      ],
    ],
    ['everything', true, {}, [{}]],
    ['another PASID', false, { pasid: 5 }, [{ pasid: 6, iova: u64(AT), bytes: u64(PAGE) }]],
    ['its PASID', true, { pasid: 5 }, [{ pasid: 5, iova: u64(AT), bytes: u64(PAGE) }]],
    ['a PASID, where it has none', false, {}, [{ pasid: 6, iova: u64(AT), bytes: u64(PAGE) }]],
    ['any PASID, where it serves all', true, { pasid: 5 }, [{ pasid: 6, iova: u64(AT), bytes: u64(PAGE) }], { ...grant, global: true }],
    ['no PASID, which takes all that any has', true, { pasid: 5 }, [{ iova: u64(0), bytes: u64(PAGE) }]],
  ])('is overtaken by an invalidation of %s: %s', async (_what, expected, asking, between, granted) => {
    expect(await overtaken(asking, between, granted)).toBe(expected);
  });

  it('is not overtaken by what came before it was asked for', async () => {
    const { server, fn } = await claimed();
    server.say(invalidate(20));
    await tick();
    const asked = fn.ats.translate(AT);
    await tick();
    server.reply(last(server)?.id ?? 0, 'deviceTranslateReply', { result: { outcome: 1, requests: 1, grant, grants: [grant] } });
    expect(await asked).toMatchObject({ outcome: 'performed', overtaken: false, grant: { address: 0x4000_0000n } });
  });
});
