/** What a machine is in, over REST. */
import { describe, expect, it } from 'vitest';
import { service } from './service.ts';

const FN = '00:02.0';

async function lab(body: object = {}) {
  const rest = await service();
  const { id } = await rest.make({ name: 'lab', ...body });
  return { rest, id, base: `/v1/machines/${id}` };
}

async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

describe('groups and domains', () => {
  it('are listed with who has them', async () => {
    const { rest, id, base } = await lab();
    const host = (await rest.connect(id, { roles: ['host'] })).machine;
    const domain = await host.domains.alloc();
    await host.function(FN).attach(domain);
    await host
      .function(FN)
      .pasid(3)
      .attach(await host.domains.alloc());
    const { groups } = (await rest.get(`${base}/groups`)).json<{
      groups: { group: number; members: string[]; domain: { id: number } }[];
    }>();
    const mine = groups.find(({ members }) => members.includes(FN));
    expect(mine).toMatchObject({ members: [FN], domain: { id: domain.id, type: 'paging' }, recoveryCount: 0, busy: false });
    expect(groups.map(({ group }) => group)).toEqual(groups.map(({ group }) => group).toSorted((a, b) => a - b));
    const { domains } = (await rest.get(`${base}/domains`)).json<{ domains: { id: number }[] }>();
    expect(domains.find(({ id: number }) => number === domain.id)).toEqual({
      id: domain.id,
      type: 'paging',
      sharedAddress: false,
      format: expect.any(String),
      parent: null,
      functions: [FN],
      pasids: [],
    });
    expect(domains.find(({ id: number }) => number === domain.id + 1)).toMatchObject({
      functions: [],
      pasids: [{ function: FN, pasid: 3 }],
    });
  });

  it('of a machine without an IOMMU there are none', async () => {
    const { rest, base } = await lab({ preset: 'no-iommu' });
    expect((await rest.get(`${base}/groups`)).json()).toEqual({ groups: [] });
    expect((await rest.get(`${base}/domains`)).json()).toMatchObject({ code: 'EOPNOTSUPP' });
  });
});

describe('what is in flight', () => {
  it('is in the ledger, and a call that waits says for what', async () => {
    const { rest, id, base } = await lab({ clock: 'manual' });
    const host = (await rest.connect(id, { roles: ['host'] })).machine;
    const page = await host.memory.alloc(4096);
    await host.function(FN).dma.map({ iova: 0x10000, address: page.address, bytes: 4096, access: 'rw' });
    const write = host.function(FN).model.write(0x10000, 'held', { hold: 'translated' });
    const prepare = host.function(FN).resetPrepare({ deadlineMs: 5 });
    await eventually(async () => {
      const { entries } = (await rest.get(`${base}/functions/${FN}/ledger`)).json<{ entries: object[] }>();
      expect(entries).toMatchObject([{ operation: 'write', point: 'translated', held: true, iova: '0x10000', bytes: 4 }]);
    });
    const status = (await rest.get(`${base}/status`)).json<{ waiting: { call: string }[]; nextAlarmNs: number; peers: object[] }>();
    expect(status.peers).toMatchObject([{ roles: ['host'], calls: 2, owes: [], silent: false }]);
    expect(status.waiting.find(({ call }) => call === 'prepare')).toMatchObject({
      function: FN,
      sinceNs: 0,
      waitsFor: `1 requests in flight of ${FN}, its time on the clock`,
    });
    expect(status.nextAlarmNs).toBe(5_000_000);
    expect((await rest.post(`${base}/clock`, { ms: 5 })).json()).toEqual({ nowNs: 5_000_000, movedNs: 5_000_000 });
    expect(await write).toMatchObject({ outcome: 'aborted' });
    await prepare;
    expect((await rest.get(`${base}/functions/${FN}/ledger`)).json()).toEqual({ entries: [] });
    expect((await rest.get(`${base}/clock`)).json()).toEqual({ nowNs: 5_000_000, movedNs: 0 });
    expect((await rest.get(`${base}/status`)).json()).toMatchObject({ waiting: [] });
  });

  it('a peer that owes an answer is named, with what and for how long', async () => {
    const { rest, id, base } = await lab();
    const host = (await rest.connect(id, { roles: ['host'] })).machine;
    const emulator = await rest.connect(id, { roles: ['device'] });
    let answer: (value: number) => void = () => undefined;
    await emulator.claimDevice('00:04.0', { onRegionRead: () => new Promise<number>((resolve) => (answer = resolve)) });
    const read = host.function('00:04.0').bar(0).read(0, 4);
    const advance = rest.post(`${base}/clock`, { ms: 1 });
    await eventually(async () => {
      const status = (await rest.get(`${base}/status`)).json<{ peers: { peer: number; owes: { call: string; forMs: number }[] }[] }>();
      const peer = status.peers.find(({ owes }) => owes.length > 0);
      expect(peer).toMatchObject({ roles: ['device'], plays: ['00:04.0'], owes: [{ call: 'regionRead', forMs: expect.any(Number) }] });
      expect(status).toMatchObject({ clockWaitsFor: [peer?.peer] });
      expect(status).toMatchObject({
        waiting: expect.arrayContaining([
          expect.objectContaining({ call: 'peer-access', function: '00:04.0', waitsFor: `the answer of peer ${peer?.peer}` }),
          expect.objectContaining({ call: 'advance', waitsFor: `the answers of peer ${peer?.peer}` }),
        ]),
      });
    });
    answer(7);
    expect(await read).toBe(7);
    expect((await advance).json()).toEqual({ nowNs: 1_000_000, movedNs: 1_000_000 });
  });
});

describe('faults on purpose', () => {
  it('are armed once for a key, and disarmed by number', async () => {
    const { rest, base } = await lab();
    const arm = () => rest.post(`${base}/faults-on-purpose`, { fault: 'never-ready', function: FN, count: 2 }, { 'idempotency-key': 'k' });
    expect((await arm()).statusCode).toBe(201);
    expect((await arm()).json()).toEqual({ armed: 1 });
    const memory = { fault: 'memory-errors', address: '0xff00000000', bytes: 4096, error: 'poisoned', delayMs: 0.5 };
    expect((await rest.post(`${base}/faults-on-purpose`, memory)).json()).toEqual({ armed: 2 });
    expect((await rest.get(`${base}/faults-on-purpose`)).json()).toMatchObject({
      faults: [
        { armed: 1, fault: 'never-ready', function: FN, left: 2 },
        { armed: 2, address: '0xff00000000', bytes: 4096, error: 'poisoned' },
      ],
    });
    expect((await rest.delete(`${base}/faults-on-purpose/1`)).statusCode).toBe(204);
    expect((await rest.delete(`${base}/faults-on-purpose/1`)).statusCode).toBe(404);
    expect((await rest.get(`${base}/faults-on-purpose`)).json()).toMatchObject({ faults: [{ armed: 2 }] });
  });

  it.each([
    ['an unknown one', { fault: 'toast', function: FN }],
    ['one without a function', { fault: 'never-ready' }],
    ['an address that is no text', { fault: 'memory-errors', address: 4096, bytes: 1 }],
    ['no occurrence', { fault: 'never-ready', function: FN, first: 0 }],
  ])('%s is refused', async (_what, body) => {
    const { rest, base } = await lab();
    expect((await rest.post(`${base}/faults-on-purpose`, body)).statusCode).toBe(400);
    expect((await rest.get(`${base}/faults-on-purpose`)).json()).toEqual({ faults: [] });
  });
});

describe('the log of what is written', () => {
  it('has whole pages in ranges, until it is read', async () => {
    const { rest, id, base } = await lab();
    const host = (await rest.connect(id, { roles: ['host'] })).machine;
    const { address } = await host.memory.alloc(16 * 4096);
    const read = (body: object = {}) =>
      rest.post(`${base}/dirty-log/read`, { address: `0x${address.toString(16)}`, bytes: 16 * 4096, ...body });
    expect((await read()).json()).toMatchObject({ code: 'EINVAL' });
    expect((await rest.post(`${base}/dirty-log`, { on: true })).statusCode).toBe(204);
    await host.memory.write(address + 4095n, new Uint8Array(2));
    await host.memory.write(address + 15n * 4096n, new Uint8Array(1));
    const at = (page: bigint): string => `0x${(address + page * 4096n).toString(16)}`;
    const ranges = [
      { address: at(0n), bytes: 8192 },
      { address: at(15n), bytes: 4096 },
    ];
    expect((await read({ clear: false })).json()).toEqual({ ranges });
    expect((await read()).json()).toEqual({ ranges });
    expect((await read()).json()).toEqual({ ranges: [] });
    expect((await read({ bytes: 5000 })).json()).toMatchObject({ code: 'EINVAL' });
  });
});

describe('memory that a peer owns', () => {
  it('is in the status', async () => {
    const { rest, id, base } = await lab();
    const owner = await rest.connect(id, { roles: ['memory'] });
    await owner.serveMemory({ address: 0x8000_0000, bytes: 4096 }, { read: () => new Uint8Array(1), write: () => undefined });
    const { memory, peers } = (await rest.get(`${base}/status`)).json<{ memory: object[]; peers: { peer: number }[] }>();
    expect(memory).toEqual([{ address: '0x80000000', bytes: '0x1000', peer: peers[0]?.peer, absent: false }]);
  });
});

describe('the clock', () => {
  it.each([{}, { ms: -1 }, { ms: 'soon' }, { ms: 1, by: 2 }])('%j is refused', async (body) => {
    const { rest, base } = await lab();
    expect((await rest.post(`${base}/clock`, body)).statusCode).toBe(400);
    expect((await rest.get(`${base}/clock`)).json()).toEqual({ nowNs: 0, movedNs: 0 });
  });
});

describe('events', () => {
  it('come as server-sent events until the machine ends', async () => {
    const { rest, id, base } = await lab();
    const stream = rest.get(`${base}/events?classes=fault,window`);
    const host = (await rest.connect(id, { roles: ['host'] })).machine;
    await host.function(FN).model.write(0x9000, 'x');
    await host.function(FN).reset({ method: 'flr', deadlineMs: 1 });
    await rest.delete(base);
    const response = await stream;
    expect(response.headers['content-type']).toBe('text/event-stream');
    const events = response.body.split('\n\n').flatMap((block) => {
      const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return name === undefined ? [] : [{ name, data: JSON.parse(data ?? '') as object }];
    });
    expect(events.map(({ name }) => name)).toEqual(['fault', 'window', 'window']);
    expect(events[0]?.data).toMatchObject({ function: FN, iova: '0x9000', cause: 'not-present' });
    expect(events[1]?.data).toMatchObject({ function: FN, open: true, depth: 1 });
  });
});
